//go:build integration

package acceptance

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// latency makes answers take so long.
func latency(text string) func(*fakellm.Config) {
	return func(c *fakellm.Config) {
		l, err := fakellm.ParseLatency(text)
		if err != nil {
			panic(err)
		}
		c.Latency = l
	}
}

// linesWith counts the lines of a text that have a part.
func linesWith(text, part string) int {
	n := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// paidOnce checks that the endpoint answered each of n contents exactly once.
func (u *user) paidOnce(n int) {
	u.t.Helper()
	if stats := u.fake.Stats(); stats.Distinct != n || stats.Duplicates != 0 {
		u.t.Errorf("%d contents were paid for, %d of them again; want %d and none", stats.Distinct, stats.Duplicates, n)
	}
}

// A budget is never exceeded, and a higher one goes on where it stopped.
func TestBudget(t *testing.T) {
	t.Parallel()
	const n = 120
	for name, resume := range map[string]func(u *user, run string){
		"by the same command": func(u *user, _ string) { u.summarize("--budget-usd", "1").Wait().WantCode(0) },
		"by resume": func(u *user, run string) {
			u.run("resume", run, "--budget-usd", "1").WantCode(0)
			if s := u.status(); s.Phase() != "running" {
				u.t.Errorf("the resumed run is %s", s.Phase())
			}
			u.summarize().Wait().WantCode(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, latency("5ms"))
			u.notes(0, n)
			const budget = 0.01
			u.summarize("--budget-usd", "0.01").Wait().WantCode(5).Says("budget")
			s := u.status()
			paid := u.paid()
			if s.Phase() != "stopped:budget" || s.Documents != (programtest.Totals{Total: n, Done: paid, Remaining: n - paid}) || paid == 0 || paid == n {
				t.Fatalf("after the budget: %s, %+v, %d paid", s.Phase(), s.Documents, paid)
			}
			if s.CostUSD == nil || *s.CostUSD <= budget/2 || *s.CostUSD > budget {
				t.Errorf("spent %v of %v", s.CostUSD, budget)
			}
			// The same budget again is still spent; hardly anything fits into what is left of it.
			u.summarize("--budget-usd", "0.01").Wait().WantCode(5)
			if s := u.status(); s.CostUSD == nil || *s.CostUSD > budget {
				t.Errorf("spent %v of %v at the second try", s.CostUSD, budget)
			}
			resume(u, s.Run)
			if again := u.books("finished", programtest.Totals{Total: n, Done: n}); again.Run != s.Run {
				t.Errorf("run %s was not continued but %s begun", s.Run, again.Run)
			}
			u.paidOnce(n)
		})
	}
}

// A cap on tokens works like one on money, without a price.
func TestTokenBudget(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("5ms"))
	const n, budget = 60, 20_000
	u.notes(0, n)
	u.summarize("--model", "nobody-knows-its-price", "--budget-tokens", "20000").Wait().WantCode(5)
	s := u.status()
	if used := s.Tokens.In + s.Tokens.Out; used == 0 || used > budget {
		t.Errorf("%d tokens used of %d", used, budget)
	}
	if s.CostUSD != nil {
		t.Errorf("the cost is said to be %v, and nobody knows it", *s.CostUSD)
	}
	u.summarize("--model", "nobody-knows-its-price", "--budget-usd", "1").Wait().WantCode(2).Says("nobody-knows-its-price")
	u.summarize("--model", "nobody-knows-its-price", "--budget-tokens", "10000000").Wait().WantCode(0)
	u.books("finished", programtest.Totals{Total: n, Done: n})
	u.paidOnce(n)
}

// A run is paused from another process, and goes on with the same command.
func TestPause(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("100ms"))
	const n = 80
	u.notes(0, n)
	p := u.summarize("--concurrency", "4")
	p.Until("some are done", func() bool { return u.paid() >= 8 })
	run := u.status()
	if run.Phase() != "running" || run.Documents.Total != n {
		t.Errorf("in mid-run: %s, %+v", run.Phase(), run.Documents)
	}
	u.run("pause", run.Run).WantCode(0)
	r := p.Wait().WantCode(1).Says("paused")
	paid := u.paid()
	if paid == n {
		t.Fatal("the run was over before it was paused")
	}
	u.books("stopped:paused", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
	if stats := u.fake.Stats(); stats.Outcomes[fakellm.OutcomeAbandoned] != 0 {
		t.Errorf("%d calls in flight were given up:\n%s", stats.Outcomes[fakellm.OutcomeAbandoned], r.Stderr)
	}
	u.run("pause", run.Run).WantCode(1).Says(run.Run)
	u.set(latency("0s"))
	u.summarize().Wait().WantCode(0)
	if s := u.books("finished", programtest.Totals{Total: n, Done: n}); s.Run != run.Run {
		t.Errorf("run %s was not continued but %s begun", run.Run, s.Run)
	}
	u.paidOnce(n)
}

// A cancelled run is over: the next one is new, and pays only for the rest.
func TestCancel(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("100ms"))
	const n = 60
	u.notes(0, n)
	p := u.summarize("--concurrency", "4")
	p.Until("some are done", func() bool { return u.paid() >= 8 })
	run := u.status()
	u.run("cancel", run.Run).WantCode(0)
	p.Wait().WantCode(1).Says("cancelled")
	paid := u.paid()
	u.books("stopped:cancelled", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
	u.run("resume", run.Run).WantCode(1).Says(run.Run)
	u.set(latency("0s"))
	u.summarize().Wait().WantCode(0)
	if s := u.books("finished", programtest.Totals{Total: n, Done: n - paid, Skipped: paid}); s.Run == run.Run {
		t.Error("the cancelled run was continued")
	}
	u.paidOnce(n)
}

// interrupt starts a run that does four documents at a time, and ends it by SIGINT when so many more are paid.
func (u *user) interrupt(more int64, args ...string) {
	u.t.Helper()
	u.set(latency("50ms"))
	before := u.paid()
	p := u.summarize(append([]string{"--concurrency", "4"}, args...)...)
	p.Until("some are done", func() bool { return u.paid() >= before+more })
	p.Signal(os.Interrupt)
	p.Wait().WantCode(130)
	u.set(latency("0s"))
}

// A source that grows, shrinks and changes while its run is unfinished, and after it.
func TestChangingSource(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const n = 60
	u.notes(0, n)
	u.interrupt(10)
	paid := u.paid()
	first := u.books("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})

	// It grows by ten, and one that was done changes: all are of the same run.
	u.notes(n, n+10)
	changed := u.doneNote(n)
	u.write(noteName(changed), []byte(note(1000+changed)))
	u.interrupt(10)
	s := u.status()
	if s.Run != first.Run || s.Documents.Total != n+10 || s.Documents.Done+s.Documents.Remaining != n+10 || s.Documents.Done != u.paid() && s.Documents.Done != u.paid()-1 {
		t.Errorf("grown: run %s with %+v after %d calls; want run %s with a total of %d", s.Run, s.Documents, u.paid(), first.Run, n+10)
	}
	u.summarize().Wait().WantCode(0)
	if s := u.books("finished", programtest.Totals{Total: n + 10, Done: n + 10}); s.Run != first.Run {
		t.Errorf("run %s was not continued but %s begun", first.Run, s.Run)
	}
	u.paidOnce(n + 11)
	if got := len(u.summaries()); got != n+10 {
		t.Errorf("%d summaries, want %d", got, n+10)
	}

	// A document is deleted after its run: it is left out of the next one and of what is written, and stays known.
	if err := os.Remove(u.path("docs/" + noteName(3))); err != nil {
		t.Fatal(err)
	}
	u.summarize().Wait().WantCode(0).Says("1 gone")
	u.books("finished", programtest.Totals{Total: n + 9, Skipped: n + 9})
	if _, there := u.summaries()[noteName(3)]; there {
		t.Error("the deleted document is among the summaries")
	}
	if d := u.show(noteName(3)); d.State != "done" {
		t.Errorf("the deleted document is %s", d.State)
	}
	// It comes back: known, so not paid again.
	u.write(noteName(3), []byte(note(3)))
	u.summarize().Wait().WantCode(0)
	u.books("finished", programtest.Totals{Total: n + 10, Done: 1, Skipped: n + 9})
	u.paidOnce(n + 11)
	// What came later has not changed the books of the first run.
	if s := u.status(first.Run); s.Phase() != "finished" || s.Documents != (programtest.Totals{Total: n + 10, Done: n + 10}) {
		t.Errorf("the first run is now %s with %+v", s.Phase(), s.Documents)
	}
}

// A file of many documents that changes under its run: lines move, one is edited, some are new. The rest is found where it
// is now, and not paid for again.
func TestChangingLines(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const n = 60
	u.lines(n)
	u.interrupt(10)
	paid := u.paid()
	first := u.books("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})

	before, err := os.ReadFile(u.path("docs/notes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	after := append([]byte(jsonLine(t, "new", note(500))), before...)
	after = append(after, jsonLine(t, "newer", note(501))...)
	after = append(after, jsonLine(t, "7", note(502))...) // an id that there is already: the first one counts
	u.write("notes.jsonl", after)
	u.summarize().Wait().WantCode(0)
	if s := u.books("finished", programtest.Totals{Total: n + 2, Done: n + 2}); s.Run != first.Run {
		t.Errorf("run %s was not continued but %s begun", first.Run, s.Run)
	}
	u.paidOnce(n + 2)

	u.write("notes.jsonl", append([]byte(jsonLine(t, "0", note(503))), after...)) // now this one is the first with its id
	u.summarize().Wait().WantCode(0)
	u.books("finished", programtest.Totals{Total: n + 2, Done: 1, Skipped: n + 1})
	u.paidOnce(n + 3)
	summaries := u.summaries()
	if got := summaries["notes.jsonl#0"].Summary; !strings.Contains(got, "Observer 503 ") {
		t.Errorf("notes.jsonl#0 has the summary of another text: %q", got)
	}
	if got := summaries["notes.jsonl#59"].Summary; !strings.Contains(got, "Observer 59 ") {
		t.Errorf("notes.jsonl#59 has the summary of another text: %q", got)
	}
}

// doneNote finds a note that is done already.
func (u *user) doneNote(n int) int {
	u.t.Helper()
	for i := range n {
		if u.show(noteName(i)).State == "done" {
			return i
		}
	}
	u.t.Fatal("no document is done")
	return 0
}

// Documents that are deleted while their run is unfinished: those that were done stay so, those that were not end in
// the books too.
func TestDeletedDuringRun(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const n = 40
	u.notes(0, n)
	u.interrupt(8)
	paid := u.paid()
	before := u.books("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
	var done, open string
	for i := range n {
		if state := u.show(noteName(i)).State; state == "done" && done == "" {
			done = noteName(i)
		} else if state != "done" && open == "" {
			open = noteName(i)
		}
	}
	for _, name := range []string{done, open} {
		if err := os.Remove(u.path("docs/" + name)); err != nil {
			t.Fatal(err)
		}
	}
	r := u.summarize().Wait()
	s := u.status()
	if s.Run != before.Run || s.Phase() != "finished" || s.Documents.Remaining != 0 || s.Documents.Done+s.Documents.Dead != s.Documents.Total {
		t.Errorf("run %s is %s with %+v", s.Run, s.Phase(), s.Documents)
	}
	// What could not be done since it is gone is said to be so, as class input_gone.
	if s.Documents.Total != n || s.Documents.Done != n-1 || s.Documents.Dead != 1 {
		t.Errorf("%+v, want %d done and one dead (input_gone)", s.Documents, n-1)
	}
	r.WantCode(3)
	if d := u.show(open); d.State != "dead" {
		t.Errorf("%s is %s, want dead", open, d.State)
	}
	u.paidOnce(n - 1)
	// In the next run neither is a document any more.
	u.summarize().Wait().WantCode(0)
	u.books("finished", programtest.Totals{Total: n - 2, Skipped: n - 2})
}

// A forced run that is interrupted goes on as what it is, whether by the same command or without --force: everything
// is made anew, each once.
func TestForceInterrupted(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"with --force again": {"--force"}, "without it": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, nil)
			const n = 60
			u.notes(0, n)
			u.write("copy.txt", []byte(note(0)))
			u.summarize().Wait().WantCode(0)
			first := u.books("finished", programtest.Totals{Total: n + 1, Done: n + 1})
			u.paidOnce(n)

			u.fake.Reset()
			u.interrupt(10, "--force")
			forced := u.status()
			paid := u.paid()
			d := forced.Documents
			if forced.Run == first.Run || forced.Phase() != "running" || d.Total != n+1 || d.Skipped != 0 || d.Dead != 0 || d.Done != paid && d.Done != paid+1 {
				t.Errorf("interrupted: run %s is %s with %+v after %d calls", forced.Run, forced.Phase(), d, paid)
			}
			u.summarize(args...).Wait().WantCode(0)
			if s := u.books("finished", programtest.Totals{Total: n + 1, Done: n + 1}); s.Run != forced.Run {
				t.Errorf("run %s was not continued but %s begun", forced.Run, s.Run)
			}
			u.paidOnce(n)
			u.summarize().Wait().WantCode(0)
			u.books("finished", programtest.Totals{Total: n + 1, Skipped: n + 1})
			u.paidOnce(n)
			for run, want := range map[string]programtest.Totals{first.Run: first.Documents, forced.Run: {Total: n + 1, Done: n + 1}} {
				if s := u.status(run); s.Phase() != "finished" || s.Documents != want {
					t.Errorf("in the end run %s is %s with %+v, want %+v", run, s.Phase(), s.Documents, want)
				}
			}
		})
	}
}

// Two processes with the same source and ledger: all is done once, whoever does it.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("40ms"))
	const n = 300
	u.notes(0, n)
	one := u.summarize("--concurrency", "4", "--partition-documents", "10")
	one.Until("it has begun", func() bool { return u.paid() >= 4 })
	two := u.summarize("--concurrency", "4", "--partition-documents", "10")
	one.Wait().WantCode(0)
	two.Wait().WantCode(0)
	u.books("finished", programtest.Totals{Total: n, Done: n})
	u.paidOnce(n)
	if stats := u.fake.Stats(); stats.MaxInFlight <= 4 {
		t.Errorf("%d calls in flight at the most: the second process did nothing", stats.MaxInFlight)
	}
}

// Of two that plan at the same moment one works and the other exits 4, or comes when the planning is over and helps, or when all is done.
func TestTwoPlanAtOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("20ms"))
	const n = 100
	u.notes(0, n)
	one, two := u.summarize(), u.summarize()
	a, b := one.Wait(), two.Wait()
	for _, r := range []programtest.Result{a, b} {
		if r.Code != 0 && r.Code != 4 {
			t.Errorf("exit code %d:\n%s", r.Code, r.Stderr)
		}
		if r.Code == 4 {
			r.Says("--wait")
		}
	}
	if a.Code == 4 && b.Code == 4 {
		t.Error("both left it to the other")
	}
	want := programtest.Totals{Total: n, Done: n}
	if u.status().Documents.Skipped > 0 { // a run of its own, which found everything done
		want = programtest.Totals{Total: n, Skipped: n}
	}
	u.books("finished", want)
	u.paidOnce(n)
}

// A killed process costs no finished document a second call: what it had in flight is all that is asked again.
func TestKill(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("100ms"))
	const n, inWork = 80, 16 // calls in flight, and as many that have ended and wait to be booked
	u.notes(0, n)
	p := u.summarize("--concurrency", "8")
	p.Until("some are done", func() bool { return u.paid() >= 20 })
	p.Signal(syscall.SIGKILL)
	p.Wait().WantCode(-1)
	killed := u.status()
	if killed.Phase() != "running" || killed.Documents.Done < 20-inWork || killed.Documents.Total != n {
		t.Errorf("after the kill: %s, %+v", killed.Phase(), killed.Documents)
	}
	u.set(latency("5ms"))
	u.summarize().Wait().WantCode(0)
	if s := u.books("finished", programtest.Totals{Total: n, Done: n}); s.Run != killed.Run {
		t.Errorf("run %s was not continued but %s begun", killed.Run, s.Run)
	}
	stats := u.fake.Stats()
	if stats.Distinct != n || stats.Duplicates > inWork {
		t.Errorf("%d contents paid, %d again; want %d and %d at the most", stats.Distinct, stats.Duplicates, n, inWork)
	}
	if s := u.dead(); len(s) != 0 {
		t.Errorf("being in flight when a process dies is no fault: %v", s)
	}
}

// A process that is killed as it begins, and another one while it plans, leave nothing behind that hinders the next.
func TestKillWhilePlanning(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	// Broken lines are dead as they are listed: much to plan and nothing to do.
	const n, broken = 200, 60_000
	u.lines(n)
	u.write("broken.jsonl", bytes.Repeat([]byte("{\n"), broken))
	p := u.summarize()
	p.Until("there is a ledger", func() bool {
		_, err := os.Stat(u.path(".gistmill/ledger.db"))
		return err == nil
	})
	p.Signal(syscall.SIGKILL)
	p.Wait()
	p = u.summarize("--wait")
	p.Until("documents are planned", func() bool {
		r := u.run("status", "-o", "json")
		return r.Code == 0 && !strings.Contains(r.Stdout, `"total": 0`)
	})
	p.Signal(syscall.SIGKILL)
	p.Wait()
	killed := u.status()
	if killed.Phase() != "planning" || u.fake.Stats().Calls != 0 {
		t.Errorf("the run is %s, %d calls were made; want it planning and none", killed.Phase(), u.fake.Stats().Calls)
	}
	// Another profile is not in the way.
	u.run("run", "docs", "--model", "extractive", "--limit", "1").WantCode(3)
	u.summarize("--wait").Wait().WantCode(3)
	if s := u.status(killed.Run); s.Phase() != "finished" || s.Documents != (programtest.Totals{Total: n + broken, Done: n, Dead: broken}) {
		t.Errorf("run %s is %s with %+v, want %d done and %d dead", s.Run, s.Phase(), s.Documents, n, broken)
	}
	u.paidOnce(n)
}

// Ctrl-C once finishes what is in flight; twice gives it up; either way nothing is lost.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("1s"))
	const n = 30
	u.notes(0, n)
	p := u.summarize("--concurrency", "4")
	p.Until("calls are in flight", func() bool { return u.paid() >= 4 && u.fake.Stats().InFlight == 4 })
	p.Until("the first pages are there", func() bool {
		pages, err := filepath.Glob(u.path("summaries/*.md"))
		return err == nil && len(pages) > 0
	})
	p.Signal(os.Interrupt)
	r := p.Wait().WantCode(130).Says("stopping", "nothing is lost")
	stats := u.fake.Stats()
	if stats.Outcomes[fakellm.OutcomeAbandoned] != 0 || stats.Completed < 8 {
		t.Errorf("%d calls were given up, %d finished; want those in flight to be finished\n%s", stats.Outcomes[fakellm.OutcomeAbandoned], stats.Completed, r.Stderr)
	}
	u.books("running", programtest.Totals{Total: n, Done: stats.Completed, Remaining: n - stats.Completed})
	if got := len(u.summaries()); int64(got) != stats.Completed {
		t.Errorf("%d summaries were written, want the %d that are done", got, stats.Completed)
	}

	u.set(latency("1m"))
	p = u.summarize("--concurrency", "4", "--request-timeout", "5m")
	p.Until("calls are in flight", func() bool { return u.fake.Stats().InFlight == 4 })
	p.Signal(os.Interrupt)
	p.Until("it says that it waits", func() bool { return strings.Contains(p.Stderr.String(), "interrupt again") })
	p.Signal(os.Interrupt)
	p.Wait().WantCode(130)
	u.books("running", programtest.Totals{Total: n, Done: stats.Completed, Remaining: n - stats.Completed})

	u.set(latency("0s"))
	u.summarize().Wait().WantCode(0)
	u.books("finished", programtest.Totals{Total: n, Done: n})
	u.paidOnce(n)
	if d := u.show(noteName(n - 1)); d.Attempts != 1 {
		t.Errorf("an interrupt cost attempts: %d", d.Attempts)
	}
}

// SIGTERM is the way a scheduler asks: the same as Ctrl-C.
func TestTerminate(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("300ms"))
	const n = 30
	u.notes(0, n)
	p := u.summarize("--concurrency", "4")
	p.Until("calls are in flight", func() bool { return u.paid() >= 4 })
	p.Signal(syscall.SIGTERM)
	p.Wait().WantCode(130)
	paid := u.paid()
	u.books("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
	u.paidOnce(int(paid))
}

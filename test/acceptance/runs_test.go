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

// latency sets the time that an answer takes.
func latency(text string) func(*fakellm.Config) {
	return func(c *fakellm.Config) {
		l, err := fakellm.ParseLatency(text)
		if err != nil {
			panic(err)
		}
		c.Latency = l
	}
}

// linesWith counts the lines of a text that contain a part.
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

// A budget is never exceeded, and with a higher one the run continues where it stopped.
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
			// The same budget again is still used up: hardly any call fits into the rest.
			u.summarize("--budget-usd", "0.01").Wait().WantCode(5)
			if s := u.status(); s.CostUSD == nil || *s.CostUSD > budget {
				t.Errorf("spent %v of %v at the second try", s.CostUSD, budget)
			}
			resume(u, s.Run)
			if again := u.wantTotals("finished", programtest.Totals{Total: n, Done: n}); again.Run != s.Run {
				t.Errorf("run %s was not continued: %s began", s.Run, again.Run)
			}
			u.paidOnce(n)
		})
	}
}

// A cap on tokens works like a cap on cost, without a price.
func TestTokenBudget(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("5ms"))
	const n, budget = 60, 20_000
	u.notes(0, n)
	u.summarize("--model", "unpriced-model", "--budget-tokens", "20000").Wait().WantCode(5)
	s := u.status()
	if used := s.Tokens.In + s.Tokens.Out; used == 0 || used > budget {
		t.Errorf("%d tokens used of %d", used, budget)
	}
	if s.CostUSD != nil {
		t.Errorf("the cost is reported as %v, but it is unknown", *s.CostUSD)
	}
	u.summarize("--model", "unpriced-model", "--budget-usd", "1").Wait().WantCode(2).Says("unpriced-model")
	u.summarize("--model", "unpriced-model", "--budget-tokens", "10000000").Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	u.paidOnce(n)
}

// A run is paused from another process, and the same command continues it.
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
	u.wantTotals("stopped:paused", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
	if stats := u.fake.Stats(); stats.Outcomes[fakellm.OutcomeAbandoned] != 0 {
		t.Errorf("%d calls in flight were abandoned:\n%s", stats.Outcomes[fakellm.OutcomeAbandoned], r.Stderr)
	}
	u.run("pause", run.Run).WantCode(1).Says(run.Run)
	u.set(latency("0s"))
	u.summarize().Wait().WantCode(0)
	if s := u.wantTotals("finished", programtest.Totals{Total: n, Done: n}); s.Run != run.Run {
		t.Errorf("run %s was not continued: %s began", run.Run, s.Run)
	}
	u.paidOnce(n)
}

// A cancelled run is over: the next run is a new one and pays only for the rest.
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
	u.wantTotals("stopped:cancelled", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
	u.run("resume", run.Run).WantCode(1).Says(run.Run)
	u.set(latency("0s"))
	u.summarize().Wait().WantCode(0)
	if s := u.wantTotals("finished", programtest.Totals{Total: n, Done: n - paid, Skipped: paid}); s.Run == run.Run {
		t.Error("the cancelled run was continued")
	}
	u.paidOnce(n)
}

// interrupt starts a run with a concurrency of four, and sends SIGINT once the given number of
// further calls is paid.
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

// A source grows, shrinks and changes while its run is unfinished, and after it.
func TestChangingSource(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const n = 60
	u.notes(0, n)
	u.interrupt(10)
	paid := u.paid()
	first := u.wantTotals("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})

	// Ten documents are added and a done one changes: all belong to the same run.
	u.notes(n, n+10)
	changed := u.doneNote(n)
	u.write(noteName(changed), []byte(note(1000+changed)))
	u.interrupt(10)
	s := u.status()
	if s.Run != first.Run || s.Documents.Total != n+10 || s.Documents.Done+s.Documents.Remaining != n+10 || s.Documents.Done != u.paid() && s.Documents.Done != u.paid()-1 {
		t.Errorf("grown: run %s with %+v after %d calls; want run %s with a total of %d", s.Run, s.Documents, u.paid(), first.Run, n+10)
	}
	u.summarize().Wait().WantCode(0)
	if s := u.wantTotals("finished", programtest.Totals{Total: n + 10, Done: n + 10}); s.Run != first.Run {
		t.Errorf("run %s was not continued: %s began", first.Run, s.Run)
	}
	u.paidOnce(n + 11)
	if got := len(u.summaries()); got != n+10 {
		t.Errorf("%d summaries, want %d", got, n+10)
	}

	// A document is deleted after its run. The next run and the output leave it out, and the
	// ledger keeps it.
	if err := os.Remove(u.path("docs/" + noteName(3))); err != nil {
		t.Fatal(err)
	}
	u.summarize().Wait().WantCode(0).Says("1 gone")
	u.wantTotals("finished", programtest.Totals{Total: n + 9, Skipped: n + 9})
	if _, there := u.summaries()[noteName(3)]; there {
		t.Error("the deleted document is among the summaries")
	}
	if d := u.show(noteName(3)); d.State != "done" {
		t.Errorf("the deleted document is %s", d.State)
	}
	// It comes back: its summary is known, so it is not paid for again.
	u.write(noteName(3), []byte(note(3)))
	u.summarize().Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n + 10, Done: 1, Skipped: n + 9})
	u.paidOnce(n + 11)
	// Later changes have not changed the totals of the first run.
	if s := u.status(first.Run); s.Phase() != "finished" || s.Documents != (programtest.Totals{Total: n + 10, Done: n + 10}) {
		t.Errorf("the first run is now %s with %+v", s.Phase(), s.Documents)
	}
}

// A file of many documents changes during its run: lines move, one is edited, some are new.
// Each document is found at its new place and is not paid for again.
func TestChangingLines(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const n = 60
	u.lines(n)
	u.interrupt(10)
	paid := u.paid()
	first := u.wantTotals("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})

	before, err := os.ReadFile(u.path("docs/notes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	after := append([]byte(jsonLine(t, "new", note(500))), before...)
	after = append(after, jsonLine(t, "newer", note(501))...)
	// An id that exists already: the first one counts.
	after = append(after, jsonLine(t, "7", note(502))...)
	u.write("notes.jsonl", after)
	u.summarize().Wait().WantCode(0)
	if s := u.wantTotals("finished", programtest.Totals{Total: n + 2, Done: n + 2}); s.Run != first.Run {
		t.Errorf("run %s was not continued: %s began", first.Run, s.Run)
	}
	u.paidOnce(n + 2)

	// Now this one is the first with its id.
	u.write("notes.jsonl", append([]byte(jsonLine(t, "0", note(503))), after...))
	u.summarize().Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n + 2, Done: 1, Skipped: n + 1})
	u.paidOnce(n + 3)
	summaries := u.summaries()
	if got := summaries["notes.jsonl#0"].Summary; !strings.Contains(got, "Observer 503 ") {
		t.Errorf("notes.jsonl#0 has the summary of another text: %q", got)
	}
	if got := summaries["notes.jsonl#59"].Summary; !strings.Contains(got, "Observer 59 ") {
		t.Errorf("notes.jsonl#59 has the summary of another text: %q", got)
	}
}

// doneNote returns a note that is already done.
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

// Documents are deleted while their run is unfinished. Those that were done stay done; the
// others end as dead letters.
func TestDeletedDuringRun(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const n = 40
	u.notes(0, n)
	u.interrupt(8)
	paid := u.paid()
	before := u.wantTotals("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
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
	// A document that cannot be done because it is gone is reported with class input_gone.
	if s.Documents.Total != n || s.Documents.Done != n-1 || s.Documents.Dead != 1 {
		t.Errorf("%+v, want %d done and one dead (input_gone)", s.Documents, n-1)
	}
	r.WantCode(3)
	if d := u.show(open); d.State != "dead" {
		t.Errorf("%s is %s, want dead", open, d.State)
	}
	u.paidOnce(n - 1)
	// The next run contains neither document.
	u.summarize().Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n - 2, Skipped: n - 2})
}

// A forced run that is interrupted stays forced, whether the next command has --force or not:
// every document is summarized again, once.
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
			first := u.wantTotals("finished", programtest.Totals{Total: n + 1, Done: n + 1})
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
			if s := u.wantTotals("finished", programtest.Totals{Total: n + 1, Done: n + 1}); s.Run != forced.Run {
				t.Errorf("run %s was not continued: %s began", forced.Run, s.Run)
			}
			u.paidOnce(n)
			u.summarize().Wait().WantCode(0)
			u.wantTotals("finished", programtest.Totals{Total: n + 1, Skipped: n + 1})
			u.paidOnce(n)
			for run, want := range map[string]programtest.Totals{first.Run: first.Documents, forced.Run: {Total: n + 1, Done: n + 1}} {
				if s := u.status(run); s.Phase() != "finished" || s.Documents != want {
					t.Errorf("in the end run %s is %s with %+v, want %+v", run, s.Phase(), s.Documents, want)
				}
			}
		})
	}
}

// Two processes with the same source and ledger: each document is done once, by either of them.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("40ms"))
	const n = 300
	u.notes(0, n)
	one := u.summarize("--concurrency", "4", "--partition-documents", "10")
	one.Until("work has begun", func() bool { return u.paid() >= 4 })
	two := u.summarize("--concurrency", "4", "--partition-documents", "10")
	one.Wait().WantCode(0)
	two.Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	u.paidOnce(n)
	if stats := u.fake.Stats(); stats.MaxInFlight <= 4 {
		t.Errorf("at most %d calls in flight: the second process did nothing", stats.MaxInFlight)
	}
}

// Two processes plan at the same moment. One works. The other exits with 4, or starts after the
// planning and helps, or starts when everything is done.
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
		t.Error("neither process did the work")
	}
	want := programtest.Totals{Total: n, Done: n}
	if u.status().Documents.Skipped > 0 { // a run of its own, which found everything done
		want = programtest.Totals{Total: n, Skipped: n}
	}
	u.wantTotals("finished", want)
	u.paidOnce(n)
}

// A killed process costs no finished document a second call: only the calls in flight are
// repeated.
func TestKill(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("100ms"))
	// Calls in flight, and the same number that have ended and are not yet completed in the
	// ledger.
	const n, inWork = 80, 16
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
	if s := u.wantTotals("finished", programtest.Totals{Total: n, Done: n}); s.Run != killed.Run {
		t.Errorf("run %s was not continued: %s began", killed.Run, s.Run)
	}
	stats := u.fake.Stats()
	if stats.Distinct != n || stats.Duplicates > inWork {
		t.Errorf("%d contents paid, %d again; want %d and at most %d", stats.Distinct, stats.Duplicates, n, inWork)
	}
	if s := u.dead(); len(s) != 0 {
		t.Errorf("a call in flight when its process dies must not count as a failure: %v", s)
	}
}

// A process killed at its start and another one killed while it plans leave nothing behind that
// hinders the next.
func TestKillWhilePlanning(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	// Broken lines are dead as soon as they are listed: much to plan and nothing to do.
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
	// Another profile does not interfere.
	u.run("run", "docs", "--model", "extractive", "--limit", "1").WantCode(3)
	u.summarize("--wait").Wait().WantCode(3)
	if s := u.status(killed.Run); s.Phase() != "finished" || s.Documents != (programtest.Totals{Total: n + broken, Done: n, Dead: broken}) {
		t.Errorf("run %s is %s with %+v, want %d done and %d dead", s.Run, s.Phase(), s.Documents, n, broken)
	}
	u.paidOnce(n)
}

// The first Ctrl-C finishes the calls in flight, the second abandons them. Nothing is lost
// either way.
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
		t.Errorf("%d calls were abandoned, %d finished; want those in flight to finish\n%s", stats.Outcomes[fakellm.OutcomeAbandoned], stats.Completed, r.Stderr)
	}
	u.wantTotals("running", programtest.Totals{Total: n, Done: stats.Completed, Remaining: n - stats.Completed})
	if got := len(u.summaries()); int64(got) != stats.Completed {
		t.Errorf("%d summaries were written, want the %d that are done", got, stats.Completed)
	}

	u.set(latency("1m"))
	p = u.summarize("--concurrency", "4", "--request-timeout", "5m")
	p.Until("calls are in flight", func() bool { return u.fake.Stats().InFlight == 4 })
	p.Signal(os.Interrupt)
	p.Until("the log says that it waits", func() bool { return strings.Contains(p.Stderr.String(), "Ctrl-C again gives them up") })
	p.Signal(os.Interrupt)
	p.Wait().WantCode(130)
	u.wantTotals("running", programtest.Totals{Total: n, Done: stats.Completed, Remaining: n - stats.Completed})

	u.set(latency("0s"))
	u.summarize().Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	u.paidOnce(n)
	if d := u.show(noteName(n - 1)); d.Attempts != 1 {
		t.Errorf("an interrupt cost attempts: %d", d.Attempts)
	}
}

// Schedulers send SIGTERM: it works like Ctrl-C.
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
	u.wantTotals("running", programtest.Totals{Total: n, Done: paid, Remaining: n - paid})
	u.paidOnce(int(paid))
}

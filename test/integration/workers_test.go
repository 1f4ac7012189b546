//go:build integration

package integration

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// latency sets the time that an answer takes.
func latency(t *testing.T, text string) func(*fakellm.Config) {
	t.Helper()
	l, err := fakellm.ParseLatency(text)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *fakellm.Config) { c.Latency = l }
}

// Two workers share two runs of one enqueue. Both runs balance at every poll, and each content
// is paid for once.
func TestTwoWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", latency(t, "uniform:5ms-20ms"))
	// Each source has a thousand documents, fifty of them copies.
	s.notes(950)
	for n := range 50 {
		s.write("docs/copies/"+string(rune('a'+n%26))+strings.Repeat("x", n/26)+".txt", []byte(note(n*7)))
	}
	data := lines(1000, 1950)
	for n := range 50 {
		data = append(data, line("copy-"+strings.Repeat("i", n), note(1000+n*7))...)
	}
	s.write("more.jsonl", data)

	workers := []*programtest.Process{s.worker("--concurrency", "4"), s.worker("--concurrency", "4")}
	enqueue := s.start("enqueue", "docs", "more.jsonl", "-o", "json")
	var all []programtest.Status
	inWork, totalOf, doneOf := 0, map[string]int64{}, map[string]int64{}
	programtest.Await(t, "the end of both runs", patience, func() bool {
		all = s.runs()
		finished := 0
		for _, v := range all {
			d := v.Documents
			if v.State != "planning" && totalOf[v.Run] != 0 && d.Total != totalOf[v.Run] {
				t.Fatalf("the total of run %s went from %d to %d", v.Run, totalOf[v.Run], d.Total)
			}
			if v.State != "planning" {
				totalOf[v.Run] = d.Total
			}
			if d.Done < doneOf[v.Run] {
				t.Fatalf("run %s: %d documents were done, now %d are", v.Run, doneOf[v.Run], d.Done)
			}
			doneOf[v.Run] = d.Done
			if d.Done > 0 && d.Remaining > 0 {
				inWork++
			}
			if v.State == "finished" {
				finished++
			}
		}
		return finished == 2
	}, func() string { return describe(all) })
	if inWork < 3 {
		t.Errorf("only %d polls while there was work", inWork)
	}
	var plans []planned
	enqueue.Wait().WantCode(0).Decode(&plans)
	var calls int64
	for _, p := range plans {
		v := s.finish(p.Run, patience, programtest.Totals{Total: 1000, Done: 1000})
		calls += v.Calls
		if q := *v.Queue; q.Archived != 0 {
			t.Errorf("archived tasks: %+v", q)
		}
	}
	s.paidOnce(1900)
	if calls != 1900 {
		t.Errorf("%d calls in the ledger, want 1900", calls)
	}
	if n := s.count(`SELECT count(DISTINCT worker_id) FROM calls`); n != 2 {
		t.Errorf("%d workers made calls, want 2", n)
	}
	for _, w := range workers {
		w.Stop()
	}
}

// A worker is killed in mid-run. Another one finishes soon, and does not repeat finished
// documents.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	const documents, concurrency = 600, 16
	s := newSite(t, "", latency(t, "uniform:50ms-150ms"))
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "40")[0].Run
	killed := s.worker("--concurrency", "16")
	killed.Until("some documents are done", func() bool { return s.done() >= 100 })
	killed.Kill()
	at := time.Now()
	done, paid := s.done(), s.fake.Stats().Completed
	if done == documents {
		t.Fatal("the worker was killed too late")
	}
	another := s.worker("--concurrency", "16")
	s.finish(run, 90*time.Second, programtest.Totals{Total: documents, Done: documents})
	t.Logf("killed with %d done, finished %s later", done, time.Since(at).Round(time.Second))
	stats := s.fake.Stats()
	if again := stats.Completed - paid; again > documents-done {
		t.Errorf("%d calls after the kill for %d documents that were not done", again, documents-done)
	}
	if stats.Duplicates > inWork(concurrency) {
		t.Errorf("%d calls were paid twice, at most %d were in work", stats.Duplicates, inWork(concurrency))
	}
	if n := s.count(`SELECT count(*) FROM run_documents WHERE attempts <> 1 OR crashes <> 0`); n != 0 {
		t.Errorf("the kill cost %d documents an attempt or a crash", n)
	}
	another.Stop()
}

// SIGTERM under load: calls in flight end, the rest goes back, and nothing is spent or paid
// twice.
func TestStoppedWorker(t *testing.T) {
	t.Parallel()
	const documents = 300
	s := newSite(t, "", latency(t, "400ms"))
	s.notes(documents)
	run := s.enqueue("docs", "--partition-documents", "30")[0].Run
	worker := s.worker("--concurrency", "8", "--shutdown-grace", "30s")
	worker.Until("calls are in flight and some are done", func() bool { return s.done() >= 16 && s.fake.Stats().InFlight > 0 })
	if r := worker.Stop(); r.Took > 60*time.Second {
		t.Errorf("the worker took %s in all", r.Took)
	}
	stats := s.fake.Stats()
	if stats.Outcomes[fakellm.OutcomeAbandoned] != 0 {
		t.Errorf("%d calls were abandoned within the grace", stats.Outcomes[fakellm.OutcomeAbandoned])
	}
	if done := s.done(); done != stats.Completed || done == documents {
		t.Errorf("%d documents are done after %d calls", done, stats.Completed)
	}
	s.handedBack()
	s.set(latency(t, "5ms"))
	another := s.worker()
	s.finish(run, 45*time.Second, programtest.Totals{Total: documents, Done: documents})
	s.paidOnce(documents)
	another.Stop()
}

// handedBack checks the state after a worker was stopped: no claim, no attempt and no open
// call, and a task for every unfinished partition.
func (s *site) handedBack() {
	s.t.Helper()
	for what, query := range map[string]string{
		"claims":              `SELECT count(*) FROM run_documents WHERE state = 'claimed'`,
		"attempts":            `SELECT count(*) FROM run_documents WHERE state <> 'done' AND (attempts > 0 OR tries > 0 OR crashes > 0 OR suspect > 0)`,
		"lines in histories":  `SELECT count(*) FROM history`,
		"open calls":          `SELECT count(*) FROM calls WHERE finished_at IS NULL`,
		"workers that live":   `SELECT count(*) FROM workers WHERE ended_at IS NULL`,
		"attempts with calls": `SELECT count(*) FROM run_documents WHERE attempts > 1`,
	} {
		if n := s.count(query); n != 0 {
			s.t.Errorf("%d %s are left", n, what)
		}
	}
	if n := s.redis.LLen(background(), "asynq:{"+s.queue+"}:active").Val(); n != 0 {
		s.t.Errorf("%d tasks are still active", n)
	}
	open := s.count(`SELECT count(DISTINCT partition_id) FROM run_documents WHERE state = 'pending'`)
	if n := int64(len(s.keys("t:*"))); n < open {
		s.t.Errorf("%d tasks in the queue for %d partitions with work", n, open)
	}
}

// The grace is shorter than a call: the call is abandoned, its document goes back, and no
// attempt is spent.
func TestShortGrace(t *testing.T) {
	t.Parallel()
	const documents = 60
	s := newSite(t, "", latency(t, "10m"))
	s.notes(documents)
	run := s.enqueue("docs")[0].Run
	worker := s.worker("--concurrency", "8", "--shutdown-grace", "1s", "--request-timeout", "10m")
	worker.Until("calls are in flight", func() bool { return s.fake.Stats().InFlight == 8 })
	at := time.Now()
	worker.Stop()
	if took := time.Since(at); took > 20*time.Second {
		t.Errorf("with a grace of 1 s the worker took %s", took)
	}
	s.handedBack()
	s.set(latency(t, "5ms"))
	another := s.worker()
	s.finish(run, 45*time.Second, programtest.Totals{Total: documents, Done: documents})
	s.paidOnce(documents)
	another.Stop()
}

// A second SIGTERM ends the grace.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", latency(t, "10m"))
	s.notes(20)
	s.enqueue("docs")
	worker := s.worker("--concurrency", "8", "--shutdown-grace", "10m", "--request-timeout", "10m")
	worker.Until("calls are in flight", func() bool { return s.fake.Stats().InFlight == 8 })
	worker.Signal(syscall.SIGTERM)
	worker.Until("it is stopping", func() bool { return strings.Contains(worker.Stderr.String(), "draining") })
	worker.Signal(syscall.SIGTERM)
	worker.Wait()
	s.handedBack()
}

// A worker in drain mode exits with 0 when nothing is left, whatever happened to the documents.
func TestExitWhenIdle(t *testing.T) {
	t.Parallel()
	const documents = 80
	s := newSite(t, "", latency(t, "5ms"))
	s.notes(documents)
	run := s.enqueue("docs")[0].Run
	s.run("worker", "--exit-when-idle=2s").WantCode(0)
	s.finish(run, time.Second, programtest.Totals{Total: documents, Done: documents})
	s.run("status", run, "--watch").WantCode(0)

	for _, name := range []string{"a", "b", "c"} {
		s.write("docs/"+name+".txt", []byte("FAKELLM-REFUSE "+name+"\n\n"+note(5000)))
	}
	s.write("docs/new.txt", []byte(note(5001)))
	run = s.enqueue("docs")[0].Run
	s.run("worker", "--exit-when-idle=2s").WantCode(0)
	s.finish(run, time.Second, programtest.Totals{Total: documents + 4, Done: 1, Dead: 3, Skipped: documents})
	s.run("status", run, "--watch").WantCode(3)

	// With nothing to do at all.
	s.run("worker", "--exit-when-idle=1s").WantCode(0)
}

// Pause and cancel from another process remove the tasks from the queue; resume puts them back.
func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	const documents = 1500
	s := newSite(t, "", latency(t, "uniform:20ms-40ms"))
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "50")[0].Run
	worker := s.worker("--concurrency", "8")
	worker.Until("work has begun", func() bool { return s.done() >= 20 })

	s.run("pause", run).WantCode(0)
	s.emptyQueue()
	programtest.Await(t, "an end of the calls", 10*time.Second, func() bool { return s.fake.Stats().InFlight == 0 }, nil)
	v := s.status(run)
	if v.Phase() != "stopped:paused" || v.Documents.Remaining == 0 {
		t.Fatalf("after pause: %s", describe(v))
	}
	if n := s.count(`SELECT count(*) FROM run_documents WHERE state = 'claimed'`); n != 0 {
		t.Errorf("%d documents of a paused run are still claimed", n)
	}
	calls := s.fake.Stats().Calls
	s.run("pause", run).WantCode(1)

	s.run("resume", run).WantCode(0)
	worker.Until("work continues", func() bool { return s.fake.Stats().Calls > calls+20 })
	s.run("cancel", run).WantCode(0)
	s.emptyQueue()
	programtest.Await(t, "an end of the calls", 10*time.Second, func() bool { return s.fake.Stats().InFlight == 0 }, nil)
	v = s.status(run)
	if v.Phase() != "stopped:cancelled" || v.Documents.Remaining == 0 {
		t.Fatalf("after cancel: %s", describe(v))
	}
	s.run("resume", run).WantCode(1)

	next := s.enqueue("notes.jsonl")[0]
	if next.Run == run || next.Skipped != v.Documents.Done {
		t.Errorf("after cancel enqueue prints %s", describe(next))
	}
	s.finish(next.Run, patience, programtest.Totals{Total: documents, Done: documents - v.Documents.Done, Skipped: v.Documents.Done})
	s.paidOnce(documents)
	worker.Stop()
}

// Dead letters go through running workers again once their cause is fixed.
func TestDeadRetry(t *testing.T) {
	t.Parallel()
	const good, bad = 40, 7
	s := newSite(t, "", latency(t, "5ms"))
	s.notes(good)
	for n := range bad {
		s.write("docs/bad-"+string(rune('a'+n))+".txt", []byte("FAKELLM-FAIL\n\n"+note(9000+n)))
	}
	run := s.enqueue("docs")[0].Run
	worker := s.worker("--max-attempts", "2", "--retry-base", "50ms")
	s.finish(run, patience, programtest.Totals{Total: good + bad, Done: good, Dead: bad})
	s.set(func(c *fakellm.Config) { c.FailMarker = "no document has this" })
	s.run("dead", "retry", "--run", run).WantCode(0)
	s.finish(run, patience, programtest.Totals{Total: good + bad, Done: good + bad})
	s.paidOnce(good + bad)
	if n := s.count(`SELECT count(*) FROM run_documents WHERE attempts = 3`); n != bad {
		t.Errorf("%d documents have three attempts, want %d", n, bad)
	}
	if n := s.count(`SELECT count(*) FROM history WHERE event IN ('failed', 'dead', 'retried')`); n != 3*bad {
		t.Errorf("%d lines in histories, want %d", n, 3*bad)
	}
	worker.Stop()
}

// A worker or server that is stopped while it still waits for Redis exits with the usual code:
// no Kubernetes Job fails because of it.
func TestStoppedAtTheStart(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := newSite(t, "", nil)
	s.env["GISTMILL_REDIS"] = "redis://" + silent.Addr().String()
	for _, args := range [][]string{{"worker"}, {"server", "--listen", "127.0.0.1:0"}} {
		p := s.start(args...)
		c, err := silent.Accept() // it has asked, and gets no answer
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p.Stop()
	}
}

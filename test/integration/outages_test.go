//go:build integration

package integration

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// Redis loses everything in mid-run: the next enqueue restores the queue from the ledger.
func TestFlushedRedis(t *testing.T) {
	t.Parallel()
	const documents = 800
	server := newRedis(t)
	s := newSite(t, server.address(), latency(t, "uniform:20ms-60ms"))
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	worker := s.worker("--concurrency", "8")
	worker.Until("work has begun", func() bool { return s.done() >= 50 })
	if err := server.client.FlushAll(background()).Err(); err != nil {
		t.Fatal(err)
	}
	if s.done() == documents {
		t.Fatal("flushed too late")
	}
	p := s.enqueue("notes.jsonl", "--partition-documents", "20")[0]
	if p.Run != run || !p.Continued || p.New != 0 {
		t.Errorf("enqueue after the flush says %s", describe(p))
	}
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	s.paidOnce(documents)
	worker.Running()
	worker.Stop()
}

// noRefusals is the time at the end of an outage in which a worker's processor time is measured. By
// then it has run out of work.
const quiet = 5 * time.Second

// usedBy returns the share of a processor that each program used on average during d.
func usedBy(d time.Duration, all ...*programtest.Process) []float64 {
	before := make([]time.Duration, len(all))
	for i, p := range all {
		before[i] = p.Processor()
	}
	begun := time.Now()
	pass(d)
	took := time.Since(begun)
	share := make([]float64, len(all))
	for i, p := range all {
		p.Running()
		share[i] = float64(p.Processor()-before[i]) / float64(took)
	}
	return share
}

// idle waits for a while in which no program may use more than 5 % of a processor.
func idle(t *testing.T, all ...*programtest.Process) {
	t.Helper()
	for i, share := range usedBy(quiet, all...) {
		t.Logf("%s used %.1f %% of a processor while it waited", all[i], 100*share)
		if share > 0.05 {
			t.Errorf("%s used %.1f %% of a processor while it waited, want at most 5 %%", all[i], 100*share)
		}
	}
}

// Redis is unavailable for a while in three ways: it does not answer, nothing listens, or the
// network drops everything.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]struct{ leave, back func(*redisServer, *link) }{
		"silent": {
			func(s *redisServer, _ *link) { s.signal(syscall.SIGSTOP) },
			func(s *redisServer, _ *link) { s.signal(syscall.SIGCONT) },
		},
		"dead": {
			func(s *redisServer, _ *link) { s.end() },
			func(s *redisServer, _ *link) { s.begin() },
		},
		"partitioned": {
			func(_ *redisServer, l *link) { l.cut() },
			func(_ *redisServer, l *link) { l.restore() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const documents = 800
			server := newRedis(t)
			network := newLink(t, fmt.Sprintf("127.0.0.1:%d", server.port))
			s := newSite(t, server.address(), latency(t, "uniform:20ms-60ms"))
			if name == "partitioned" {
				s.env["GISTMILL_REDIS"] = network.redis()
			}
			s.write("notes.jsonl", lines(0, documents))
			run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
			workers := []*programtest.Process{s.worker("--concurrency", "4"), s.worker("--concurrency", "4")}
			workers[0].Until("work has begun", func() bool { return s.done() >= 50 })
			away.leave(server, network)
			pass(redisOutage - quiet)
			idle(t, workers...)
			if s.done() == documents {
				t.Error("all was done before the outage")
			}
			away.back(server, network)
			came := time.Now()
			s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
			// When the reply of a dequeue is lost, the task stays active until its lease of 30 s
			// expires.
			t.Logf("all done and the queue empty %s after Redis came back", time.Since(came).Round(time.Second))
			s.paidOnce(documents)
			for _, w := range workers {
				w.Running()
				w.Stop()
			}
		})
	}
}

// pass waits for a duration that a test is about. It is never used to wait for an event.
func pass(d time.Duration) { <-time.After(d) }

// PostgreSQL ends all connections of the workers several times.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	const documents = 800
	s := newSite(t, "", latency(t, "uniform:20ms-60ms"))
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	workers := []*programtest.Process{s.worker("--concurrency", "8"), s.worker("--concurrency", "8")}
	ended := int64(0)
	for _, at := range []int64{50, 200, 350, 500, 650} {
		workers[0].Until("more is done", func() bool { return s.done() >= at })
		ended += s.count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1`, s.schema)
	}
	if ended < 5 {
		t.Errorf("only %d connections could be ended", ended)
	}
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	s.paidOnce(documents)
	for _, w := range workers {
		w.Running()
		w.Stop()
	}
	if n := s.count(`SELECT count(*) FROM calls WHERE finished_at IS NULL`); n != 0 {
		t.Errorf("%d calls stay open", n)
	}
}

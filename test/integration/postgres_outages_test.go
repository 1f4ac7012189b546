//go:build integration

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// nothingSpent checks that an outage of the ledger cost no document an attempt, and left no
// claim and no call open.
func (s *site) nothingSpent() {
	s.t.Helper()
	for what, query := range map[string]string{
		"documents with more than one attempt": `SELECT count(*) FROM run_documents WHERE attempts <> 1`,
		"documents under suspicion":            `SELECT count(*) FROM run_documents WHERE suspect <> 0 OR crashes <> 0`,
		"claims":                               `SELECT count(*) FROM run_documents WHERE state = 'claimed'`,
		"open calls":                           `SELECT count(*) FROM calls WHERE finished_at IS NULL`,
		"lost calls":                           `SELECT count(*) FROM calls WHERE class = 'lost'`,
	} {
		if n := s.count(query); n != 0 {
			s.t.Errorf("there are %d %s", n, what)
		}
	}
}

// withoutLedger checks the behaviour while the ledger is unavailable: no call is made, no
// worker spins, and the server reports that it is not ready but alive.
func (s *site) withoutLedger(lasting time.Duration, console *server, redis *redisServer, workers ...*programtest.Process) {
	s.t.Helper()
	begun := time.Now()
	var calls int64
	var still time.Time
	// Some reservations may be stored, with the call about to be made.
	programtest.Await(s.t, "an end of the calls in flight", patience, func() bool {
		stats := s.fake.Stats()
		if stats.InFlight > 0 || stats.Calls != calls {
			calls, still = stats.Calls, time.Now()
		}
		return time.Since(still) > 3*time.Second
	}, nil)
	pass(max(0, lasting-quiet-time.Since(begun)))
	taken := redis.ran("rpoplpush")
	idle(s.t, append(workers, console.Process)...)
	// Each worker polls an empty queue at most once a second, and the queue is not empty.
	if n := redis.ran("rpoplpush") - taken; n > int64(4*len(workers))*int64(quiet/time.Second) {
		s.t.Errorf("workers polled for tasks %d times in %s while none could be done", n, quiet)
	} else {
		s.t.Logf("workers polled for tasks %d times in %s", n, quiet)
	}
	if n := s.fake.Stats().Calls - calls; n != 0 {
		s.t.Errorf("%d calls were made that could not be stored", n)
	}
	if status, body := console.get("/readyz"); status != http.StatusServiceUnavailable {
		s.t.Errorf("/readyz answers %d: %s", status, body)
	}
	if status, _ := console.get("/healthz"); status != http.StatusOK {
		s.t.Errorf("/healthz answers %d", status)
	}
}

// PostgreSQL is down, or the network drops everything, for longer than a lease. Answers that
// were paid for meanwhile are stored when it is back.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]struct{ leave, back func(*postgresServer, *link) }{
		"dead": {
			func(s *postgresServer, _ *link) { s.end() },
			func(s *postgresServer, _ *link) { s.begin() },
		},
		"partitioned": {
			func(_ *postgresServer, l *link) { l.cut() },
			func(_ *postgresServer, l *link) { l.restore() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const documents = 800
			redis, postgres := newRedis(t), newPostgres(t, nil, nil)
			network := newLink(t, fmt.Sprintf("127.0.0.1:%d", postgres.port))
			s := newSiteOn(t, redis.address(), postgres.url("postgres", "gistmill", "sslmode=disable"), latency(t, "uniform:20ms-60ms"))
			s.write("notes.jsonl", lines(0, documents))
			run := s.enqueue("notes.jsonl", "--partition-documents", "10")[0].Run
			direct := s.store
			s.env["GISTMILL_STORE"] = strings.Replace(direct, fmt.Sprintf("127.0.0.1:%d", postgres.port), network.proxy.Listen, 1)
			console := s.server()
			workers := []*programtest.Process{s.worker("--concurrency", "4"), s.worker("--concurrency", "4")}
			s.env["GISTMILL_STORE"] = direct // for the test's own connections
			workers[0].Until("work has begun", func() bool { return s.done() >= 50 })
			away.leave(postgres, network)
			s.withoutLedger(postgresOutage, console, redis, workers...)
			away.back(postgres, network)
			came := time.Now()
			console.Until("ready again", func() bool { status, _ := console.get("/readyz"); return status == http.StatusOK })
			s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
			t.Logf("all done and the queue empty %s after PostgreSQL came back", time.Since(came).Round(time.Second))
			s.paidOnce(documents)
			s.nothingSpent()
			for _, w := range workers {
				w.Running()
				w.Stop()
			}
			console.Stop()
		})
	}
}

// PostgreSQL crashes and restarts several times.
func TestPostgresRestarts(t *testing.T) {
	t.Parallel()
	const documents = 1000
	postgres := newPostgres(t, nil, nil)
	s := newSiteOn(t, shared.redis, postgres.url("postgres", "gistmill", "sslmode=disable"), latency(t, "uniform:20ms-60ms"))
	t.Cleanup(s.sweep)
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "10")[0].Run
	workers := []*programtest.Process{s.worker("--concurrency", "8"), s.worker("--concurrency", "8")}
	for _, at := range []int64{50, 150, 250, 350, 450, 550, 650, 750} {
		workers[0].Until("more is done", func() bool { return s.done() >= at })
		postgres.restart()
	}
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	s.paidOnce(documents)
	s.nothingSpent()
	for _, w := range workers {
		w.Running()
		w.Stop()
	}
}

// PostgreSQL refuses connections for a while, and then allows fewer than are wanted.
func TestPostgresWithoutConnections(t *testing.T) {
	t.Parallel()
	const documents = 800
	redis, postgres := newRedis(t), newPostgres(t, nil, []string{"host all limited 127.0.0.1/32 trust"})
	exec := func(statement string) {
		t.Helper()
		if _, err := postgres.db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	exec(`CREATE ROLE limited LOGIN`)
	s := newSiteOn(t, redis.address(), postgres.url("postgres", "gistmill", "sslmode=disable"), latency(t, "uniform:20ms-60ms"))
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "10")[0].Run
	for _, grant := range []string{`ALL ON SCHEMA`, `ALL ON ALL TABLES IN SCHEMA`, `ALL ON ALL SEQUENCES IN SCHEMA`} {
		exec(`GRANT ` + grant + ` "` + s.schema + `" TO limited`)
	}
	limit := func(connections string) {
		exec(`ALTER ROLE limited CONNECTION LIMIT ` + connections)
		exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'`)
	}
	unlimited := s.store
	s.env["GISTMILL_STORE"] = withQuery(t, postgres.url("limited", "gistmill", "sslmode=disable"), "search_path", s.schema)
	console := s.server()
	worker := s.worker("--concurrency", "8", "--store-connections", "8")
	s.env["GISTMILL_STORE"] = unlimited // for the test's own connections

	worker.Until("work has begun", func() bool { return s.done() >= 50 })
	limit("0")
	s.withoutLedger(2*quiet, console, redis, worker)
	done := s.done()
	if done > documents/2 {
		t.Errorf("%d were done before the outage", done)
	}
	limit("-1")
	console.Until("ready again", func() bool { status, _ := console.get("/readyz"); return status == http.StatusOK })
	console.Stop()
	worker.Until("work continues", func() bool { return s.done() >= done+50 })
	limit("2")
	begun := time.Now()
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	t.Logf("with two connections of eight the rest took %s", time.Since(begun).Round(time.Second))
	s.paidOnce(documents)
	s.nothingSpent()
	worker.Running()
	worker.Stop()
}

// A ledger that takes long to count the documents of a run is not away: status waits for it.
func TestStatusOfASlowLedger(t *testing.T) {
	t.Parallel()
	const held = 4 * time.Second
	s := newSite(t, "", latency(t, "5ms"))
	s.notes(10)
	run := s.enqueue("docs")[0].Run
	tx, err := s.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`LOCK TABLE run_documents IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	p := s.start("status", run, "-o", "json")
	pass(held)
	p.Running()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	var v programtest.Status
	p.Wait().WantCode(0).Decode(&v)
	v.Check(t)
	if v.Documents.Total != 10 {
		t.Errorf("%+v", v.Documents)
	}
}

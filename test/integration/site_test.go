//go:build integration

package integration

import (
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// patience bounds every wait. It is long enough for a loaded machine; a passing test never
// waits that long.
const patience = 5 * time.Minute

// inWork returns how many calls may at most be paid again when a worker is lost: those in
// flight, and the same number that have ended and are not yet completed in the ledger.
func inWork(concurrency int64) int64 { return 2 * concurrency }

// site is one deployment: a schema and a queue of its own on the servers, an endpoint, and a
// folder.
type site struct {
	t       *testing.T
	dir     string
	schema  string
	store   string
	queue   string
	redis   *redis.Client
	db      *sql.DB // for reading the ledger
	fake    *fakellm.Server
	baseURL string
	env     map[string]string
}

// newSite uses the shared PostgreSQL, and the shared Redis unless a URL is given.
func newSite(t *testing.T, redisURL string, change func(*fakellm.Config)) *site {
	t.Helper()
	if redisURL == "" {
		redisURL = shared.redis
	}
	return newSiteOn(t, redisURL, shared.store, change)
}

// newSiteOn uses the servers of the URLs.
func newSiteOn(t *testing.T, redisURL, store string, change func(*fakellm.Config)) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), schema: "test_" + strings.ToLower(rand.Text())}
	s.queue = s.schema
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	s.redis = redis.NewClient(options)
	t.Cleanup(func() { s.redis.Close() })
	if redisURL == shared.redis {
		t.Cleanup(s.sweep)
	}
	s.openStore(store)
	cfg := fakellm.Defaults()
	if change != nil {
		change(&cfg)
	}
	if s.fake, err = fakellm.New(cfg); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.fake)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	s.baseURL = server.URL + "/v1"
	s.env = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": s.dir, "TMPDIR": t.TempDir(),
		"GISTMILL_STORE": s.store, "GISTMILL_REDIS": redisURL, "GISTMILL_QUEUE": s.queue, "GISTMILL_BASE_URL": s.baseURL,
	}
	return s
}

// openStore creates the schema. Connections of the site's programs carry its name.
func (s *site) openStore(store string) {
	s.t.Helper()
	admin, err := sql.Open("pgx", store)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { admin.Close() })
	if _, err := admin.Exec(`CREATE SCHEMA "` + s.schema + `"`); err != nil {
		s.t.Fatalf("reach PostgreSQL: %v", err)
	}
	s.t.Cleanup(func() {
		if _, err := admin.Exec(`DROP SCHEMA "` + s.schema + `" CASCADE`); err != nil {
			s.t.Error(err)
		}
	})
	s.store = withQuery(s.t, store, "search_path", s.schema, "application_name", s.schema)
	if s.db, err = sql.Open("pgx", withQuery(s.t, store, "search_path", s.schema)); err != nil {
		s.t.Fatal(err)
	}
	if store != shared.store {
		s.db.SetMaxIdleConns(0) // the server may have been restarted since
	}
	s.t.Cleanup(func() { s.db.Close() })
}

func withQuery(t *testing.T, raw string, pairs ...string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// sweep deletes the queue from a shared Redis.
func (s *site) sweep() {
	for _, key := range s.keys("*") {
		s.redis.Del(background(), key)
	}
	s.redis.Del(background(), "gistmill:{"+s.queue+"}:ledger")
	s.redis.SRem(background(), "asynq:queues", s.queue)
}

// keys returns the queue's keys in Redis.
func (s *site) keys(pattern string) []string {
	s.t.Helper()
	var all []string
	walk := s.redis.Scan(background(), 0, "asynq:{"+s.queue+"}:"+pattern, 1000).Iterator()
	for walk.Next(background()) {
		all = append(all, walk.Val())
	}
	if err := walk.Err(); err != nil {
		s.t.Errorf("list the keys of the queue: %v", err)
	}
	return all
}

// set changes the endpoint's configuration.
func (s *site) set(change func(*fakellm.Config)) {
	s.t.Helper()
	if err := s.fake.Set(change); err != nil {
		s.t.Fatal(err)
	}
}

// count returns the result of a query for a number.
func (s *site) count(query string, args ...any) int64 {
	s.t.Helper()
	var n int64
	if err := s.db.QueryRow(query, args...).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// done returns the number of documents that are done in all runs.
func (s *site) done() int64 {
	s.t.Helper()
	return s.count(`SELECT count(*) FROM run_documents WHERE state = 'done'`)
}

// path returns a path in the site's folder.
func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// runs returns what `runs -o json` prints, newest first. Each run must balance.
func (s *site) runs() []programtest.Status {
	s.t.Helper()
	var all []programtest.Status
	s.run("runs", "-o", "json").WantCode(0).Decode(&all)
	for _, v := range all {
		v.Check(s.t)
	}
	return all
}

// status returns what `status -o json` prints of a run. The run must balance.
func (s *site) status(run string) programtest.Status {
	s.t.Helper()
	var v programtest.Status
	s.run("status", run, "-o", "json").WantCode(0).Decode(&v)
	v.Check(s.t)
	return v
}

// finish waits for the end of a run. The run must balance at every poll, and the queue must be
// empty at the end.
func (s *site) finish(run string, within time.Duration, want programtest.Totals) programtest.Status {
	s.t.Helper()
	var v programtest.Status
	programtest.Await(s.t, "the end of run "+run, within, func() bool {
		v = s.status(run)
		return v.State == "finished"
	}, func() string { return describe(v) })
	if v.Documents != want {
		s.t.Fatalf("run %s ended with %+v, want %+v", run, v.Documents, want)
	}
	s.emptyQueue()
	return v
}

// emptyQueue waits until the queue has no task in any state. A run ends a moment before its
// last task.
func (s *site) emptyQueue() {
	s.t.Helper()
	var all []string
	programtest.Await(s.t, "an empty queue", patience, func() bool {
		all = s.keys("t:*")
		for _, list := range []string{"pending", "active"} {
			all = append(all, s.redis.LRange(background(), "asynq:{"+s.queue+"}:"+list, 0, -1).Val()...)
		}
		for _, set := range []string{"retry", "scheduled", "archived", "completed", "lease"} {
			all = append(all, s.redis.ZRange(background(), "asynq:{"+s.queue+"}:"+set, 0, -1).Val()...)
		}
		return len(all) == 0
	}, func() string { return strings.Join(all, " ") })
}

// paidOnce checks that each distinct content was paid for exactly once.
func (s *site) paidOnce(distinct int64) {
	s.t.Helper()
	if stats := s.fake.Stats(); stats.Completed != distinct || stats.Duplicates != 0 {
		s.t.Errorf("%d calls were answered, %d of them for a second time, want %d and 0", stats.Completed, stats.Duplicates, distinct)
	}
}

// planned is a row of `enqueue -o json`.
type planned struct {
	Run       string `json:"run"`
	State     string `json:"state"`
	Continued bool   `json:"continued"`
	Listed    int64  `json:"listed"`
	New       int64  `json:"new"`
	Skipped   int64  `json:"skipped"`
	Remaining int64  `json:"remaining"`
	Tasks     int64  `json:"tasks"`
}

// enqueue plans sources and returns the rows of `enqueue -o json`.
func (s *site) enqueue(args ...string) []planned {
	s.t.Helper()
	var rows []planned
	s.run(append([]string{"enqueue", "-o", "json"}, args...)...).WantCode(0).Decode(&rows)
	return rows
}

// worker starts a worker and waits until it works.
func (s *site) worker(args ...string) *programtest.Process {
	s.t.Helper()
	p := s.start(append([]string{"worker"}, args...)...)
	p.Until("it has started", func() bool { return strings.Contains(p.Stderr.String(), "worker started") })
	return p
}

func describe(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

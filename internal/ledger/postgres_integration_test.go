//go:build integration

package ledger_test

import (
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/gistmill/gistmill/internal/ledger"
)

func TestPostgres(t *testing.T) {
	t.Parallel()
	conform(t, schemas(t))
}

// schemas returns a function that makes a schema for a test and returns its URL.
func schemas(t *testing.T) func(*testing.T) string {
	t.Helper()
	base := os.Getenv("GISTMILL_TEST_POSTGRES")
	if base == "" {
		t.Fatal("GISTMILL_TEST_POSTGRES is not set: `make services` starts a PostgreSQL for tests")
	}
	admin, err := sql.Open("pgx", base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return func(t *testing.T) string {
		t.Helper()
		schema := "test_" + strings.ToLower(rand.Text())
		if _, err := admin.Exec(`CREATE SCHEMA "` + schema + `"`); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := admin.Exec(`DROP SCHEMA "` + schema + `" CASCADE`); err != nil {
				t.Error(err)
			}
		})
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set("search_path", schema)
		u.RawQuery = q.Encode()
		return u.String()
	}
}

// rival is a transaction of another process.
type rival struct {
	f   *fixture
	db  *sql.DB
	tx  *sql.Tx
	pid int64
}

func (f *fixture) rival() *rival {
	f.t.Helper()
	r := &rival{f: f}
	var err error
	r.db, err = sql.Open("pgx", f.db.url)
	f.ok(err)
	f.t.Cleanup(func() { r.db.Close() })
	r.tx, err = r.db.BeginTx(f.t.Context(), nil)
	f.ok(err)
	f.ok(r.tx.QueryRow(`SELECT pg_backend_pid()`).Scan(&r.pid))
	return r
}

func (r *rival) exec(statement string) {
	r.f.t.Helper()
	if _, err := r.tx.Exec(statement); err != nil {
		r.f.t.Fatalf("%s: %v", statement, err)
	}
}

// awaitWaiting returns when another process waits for the transaction's locks; it fails when the
// process that should wait has ended.
func (r *rival) awaitWaiting(ended func() bool) {
	r.f.t.Helper()
	for waiting := false; !waiting; {
		if ended() {
			r.f.t.Fatal("it did not wait")
		}
		r.f.ok(r.db.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_stat_activity, pg_sleep(0.01) WHERE $1 = ANY(pg_blocking_pids(pid)))`, r.pid).Scan(&waiting))
	}
}

// When another process is ending an equal call, BeginCall waits for it and returns the answer: the
// call is not paid twice.
func TestPostgresEqualCallIsBeingBooked(t *testing.T) {
	t.Parallel()
	db := database{url: schemas(t)(t), clock: newClock()}
	f := setUp(t, db)
	run, _ := f.plan(false, entries(2))
	claimed := f.claimAll(run)
	in := ledger.Reservation{Run: run.ID, Document: claimed[0].Document, Worker: f.worker, Name: "equal", Model: "model", ReservedTokens: 10}
	if _, _, err := f.BeginCall(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	other := f.rival()
	other.exec(`UPDATE calls SET finished_at = 1, class = 'ok' WHERE name = 'equal'`)
	other.exec(`INSERT INTO answers (name, content, finish_reason, model, endpoint, tokens_in, tokens_cached, tokens_out, created_at)
		VALUES ('equal', 'the answer', 'stop', 'model', 'host', 1, 0, 1, 1)`)
	type begun struct {
		known *ledger.Answer
		err   error
	}
	second := make(chan begun, 1)
	go func() {
		in.Document = claimed[1].Document
		_, known, err := f.BeginCall(t.Context(), in)
		second <- begun{known, err}
	}()
	other.awaitWaiting(func() bool { return len(second) > 0 })
	f.ok(other.tx.Commit())
	if b := <-second; b.err != nil || b.known == nil || b.known.Content != "the answer" {
		t.Errorf("got %+v, %v; want the answer of the first call", b.known, b.err)
	}
}

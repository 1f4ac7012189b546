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

// schemas returns what makes a place of its own for a test.
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

// A call whose end is just being booked by another process is waited for, and its answer is known: it is not paid twice.
func TestPostgresEqualCallIsBeingBooked(t *testing.T) {
	t.Parallel()
	db := database{url: schemas(t)(t), clock: newClock()}
	f := setUp(t, db)
	run, _ := f.plan(false, entries(2))
	claimed := f.claimAll(run)
	in := ledger.Intent{Run: run.Num, Document: claimed[0].Document, Worker: f.worker, Name: "equal", Model: "model", ReservedTokens: 10}
	if _, _, err := f.BeginCall(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("pgx", db.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	tx, err := raw.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var pid int64
	f.ok(tx.QueryRow(`SELECT pg_backend_pid()`).Scan(&pid))
	for _, statement := range []string{
		`UPDATE calls SET finished_at = 1, class = 'ok' WHERE name = 'equal'`,
		`INSERT INTO answers (name, content, finish_reason, model, endpoint, tokens_in, tokens_cached, tokens_out, created_at)
			VALUES ('equal', 'the answer', 'stop', 'model', 'host', 1, 0, 1, 1)`,
	} {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	type begun struct {
		known *ledger.Answer
		err   error
	}
	second := make(chan begun)
	go func() {
		in.Document = claimed[1].Document
		_, known, err := f.BeginCall(t.Context(), in)
		second <- begun{known, err}
	}()
	for waiting := false; !waiting; {
		f.ok(raw.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_stat_activity, pg_sleep(0.01) WHERE $1 = ANY(pg_blocking_pids(pid)))`, pid).Scan(&waiting))
	}
	f.ok(tx.Commit())
	if b := <-second; b.err != nil || b.known == nil || b.known.Content != "the answer" {
		t.Errorf("got %+v, %v; want the answer of the first call", b.known, b.err)
	}
}

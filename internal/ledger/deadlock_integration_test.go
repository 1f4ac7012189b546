//go:build integration

package ledger_test

import (
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// Two transactions want each other's rows, and PostgreSQL rolls the ledger's back: it is tried
// again, and succeeds once.
func TestPostgresDeadlock(t *testing.T) {
	t.Parallel()
	newURL := schemas(t)
	for name, test := range map[string]struct {
		has, wants string // what the other transaction writes before, and while the ledger waits
		do         func(f *fixture, run ledger.Run) error
		want       string // a count that must be 1 after it
	}{
		"plan": {
			has:   `UPDATE documents SET size = 100 WHERE uri = 'doc001.txt'`,
			wants: `UPDATE planners SET lease_until = lease_until`,
			do: func(f *fixture, _ ledger.Run) error {
				changed := entries(3)
				changed[1].Version = "v2"
				f.ok(f.LockPlan(f.t.Context(), f.source, f.profile, "planner"))
				run, _, err := f.OpenRun(f.t.Context(), f.source, f.profile, false)
				f.ok(err)
				count, err := f.Plan(f.t.Context(), run, "planner", changed, size, nil)
				if want := (ledger.PlanCount{Listed: 3, Pending: 2, Unfinished: 1, Bytes: 200}); err == nil && count != want {
					f.t.Errorf("planned %+v, want %+v", count, want)
				}
				return err
			},
			want: `SELECT count(*) FROM documents WHERE version = 'v2'`,
		},
		"recovery": {
			has:   `UPDATE run_documents SET suspect = 0`,
			wants: `UPDATE workers SET name = name`,
			do: func(f *fixture, _ ledger.Run) error {
				f.db.clock.advance(ledger.Lease + time.Second)
				freed, err := f.RecoverLapsed(f.t.Context(), dead)
				if err == nil && len(freed) != 1 {
					f.t.Errorf("recovered %d partitions, want 1", len(freed))
				}
				return err
			},
			want: `SELECT count(*) / 2 FROM run_documents WHERE suspect = 1`,
		},
		"outcome": {
			has: `UPDATE run_documents SET suspect = 0`,
			wants: `INSERT INTO summaries (name, profile_id, run_num, title, text, model, tokens_in, tokens_out, chunks, checks, endpoint, created_at)
				SELECT 'summary of doc000.txtv1', profile_id, num, '', '', '', 0, 0, 1, '[]', '', 1 FROM runs`,
			do: func(f *fixture, run ledger.Run) error {
				claims := must(f.Claims(f.t.Context(), f.worker, f.partitions(run)[0].ID))(f.t)
				claims[0].URI, claims[0].Version = "doc000.txt", "v1"
				return f.done(claims[0])
			},
			want: `SELECT count(*) FROM results WHERE state = 'done'`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t, database{url: newURL(t), clock: newClock()})
			run, _ := f.plan(false, entries(2))
			if name == "plan" {
				for _, c := range f.claimAll(run)[1:] {
					f.ok(f.done(c))
				}
			} else {
				f.claimAll(run)
			}
			other := f.rival()
			// PostgreSQL rolls back the transaction that detects the deadlock: let it be the ledger's.
			other.exec(`SET LOCAL deadlock_timeout = '10min'`)
			other.exec(test.has)
			done := make(chan error, 1)
			go func() { done <- test.do(f, run) }()
			other.awaitWaiting(func() bool { return len(done) > 0 })
			other.exec(test.wants)
			f.ok(other.tx.Commit())
			if err := <-done; err != nil {
				t.Errorf("the ledger's transaction was not tried again: %v", err)
			}
			var n int
			f.ok(other.db.QueryRow(test.want).Scan(&n))
			if n != 1 {
				t.Errorf("%s: got %d", test.want, n)
			}
		})
	}
}

package ledger

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Count names a number that only grows.
type Count struct{ Name, Label string }

// The names of counts, with their labels.
const (
	CountDocuments = "documents" // done, dead, skipped: as often as that became of one
	CountCalls     = "calls"     // by class; ok, or why there was no answer
	CountTokens    = "tokens"    // in, out: of calls that ended, as reported
	CountCost      = "cost_nano" // no label: nano-USD of calls that ended, where the price is known
	CountStale     = "stale"     // no label: outcomes that were refused
	CountWorkers   = "workers"   // worked, empty: workers that ended, by whether they ever had a task
)

// Labels that this package writes itself.
const (
	LabelDone    = "done"
	LabelDead    = "dead"
	LabelSkipped = "skipped"
	LabelIn      = "in"
	LabelOut     = "out"
	LabelWorked  = "worked"
	LabelEmpty   = "empty"
)

// Counts are what a holder has counted since it began.
type Counts map[Count]int64

// putCounts writes a worker's counts. They replace those that it wrote before, so that a write of which nobody knows whether it came
// through can be repeated. Of a worker that was pruned nothing is written: its counts are in those of holder 0.
func (l *Ledger) putCounts(ctx context.Context, tx sqldb.Handle, worker WorkerID, counts Counts) error {
	for c, n := range counts {
		if _, err := tx.Exec(ctx, `INSERT INTO counts (holder, name, label, n)
			SELECT w.id, CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM workers w WHERE w.id = $4
			ON CONFLICT (holder, name, label) DO UPDATE SET n = excluded.n`, c.Name, c.Label, n, worker); err != nil {
			return err
		}
	}
	return nil
}

// addCounts adds to a holder's counts, in a transaction that is not repeated.
func (l *Ledger) addCounts(ctx context.Context, tx sqldb.Handle, holder int64, counts Counts) error {
	for c, n := range counts {
		if n == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO counts (holder, name, label, n) VALUES ($1, $2, $3, $4)
			ON CONFLICT (holder, name, label) DO UPDATE SET n = counts.n + excluded.n`, holder, c.Name, c.Label, n); err != nil {
			return err
		}
	}
	return nil
}

// countDeadWorker adds the end of a worker that can't do so itself. held says that it held claims when it died.
func (l *Ledger) countDeadWorker(ctx context.Context, tx sqldb.Handle, worker WorkerID, held bool) error {
	if !held {
		if err := tx.QueryRow(ctx, `SELECT CASE WHEN EXISTS (SELECT 1 FROM counts WHERE holder = $1) THEN 1 ELSE 0 END`, worker).Scan(&held); err != nil {
			return err
		}
	}
	label := LabelEmpty
	if held {
		label = LabelWorked
	}
	return l.putCounts(ctx, tx, worker, Counts{{CountWorkers, label}: 1})
}

// foldCounts moves the counts of the workers that a condition chooses to holder 0.
func (l *Ledger) foldCounts(ctx context.Context, tx sqldb.Handle, where string, args ...any) error {
	of := `holder IN (SELECT id FROM workers WHERE ` + where + `)`
	if _, err := tx.Exec(ctx, `INSERT INTO counts (holder, name, label, n) SELECT 0, name, label, CAST(SUM(n) AS BIGINT) FROM counts WHERE `+of+`
		GROUP BY name, label ON CONFLICT (holder, name, label) DO UPDATE SET n = counts.n + excluded.n`, args...); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM counts WHERE `+of, args...)
	return err
}

// Counts sums up what all holders have counted. What a worker counted in the seconds before it was killed is missing (see Renew).
func (l *Ledger) Counts(ctx context.Context) (Counts, error) {
	type counted struct {
		Count
		n int64
	}
	all, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (c counted, err error) { return c, rows.Scan(&c.Name, &c.Label, &c.n) },
		`SELECT name, label, CAST(SUM(n) AS BIGINT) FROM counts GROUP BY name, label`)
	if err != nil {
		return nil, fmt.Errorf("sum up the counts: %w", err)
	}
	counts := make(Counts, len(all))
	for _, c := range all {
		counts[c.Count] = c.n
	}
	return counts, nil
}

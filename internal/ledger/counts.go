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
	CountDocuments = "documents" // done, dead, skipped: outcomes of documents
	CountCalls     = "calls"     // by class: ok, or why there was no answer
	CountTokens    = "tokens"    // in, out: of calls that ended
	CountCost      = "cost_nano" // no label: nano-USD of calls that ended, with a known price
	CountStale     = "stale"     // no label: refused outcomes
	CountWorkers   = "workers"   // worked, empty: ended workers that had a task, or none
)

// Labels that this package writes.
const (
	LabelDone    = "done"
	LabelDead    = "dead"
	LabelSkipped = "skipped"
	LabelIn      = "in"
	LabelOut     = "out"
	LabelWorked  = "worked"
	LabelEmpty   = "empty"
)

// Counts are the totals of one holder, or of all. Holders are workers, plans, and holder 0 with the
// counts of pruned workers.
type Counts map[Count]int64

// putCounts writes a worker's counts. They replace earlier ones, so that a write with an unknown
// outcome can be repeated. A pruned worker has no row, and nothing is written: its counts are in
// those of holder 0.
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

// countDeadWorker counts the end of a worker that died. held says that it held claims.
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

// foldCounts moves the counts of the workers that a condition selects to holder 0.
func (l *Ledger) foldCounts(ctx context.Context, tx sqldb.Handle, where string, args ...any) error {
	of := `holder IN (SELECT id FROM workers WHERE ` + where + `)`
	if _, err := tx.Exec(ctx, `INSERT INTO counts (holder, name, label, n) SELECT 0, name, label, CAST(SUM(n) AS BIGINT) FROM counts WHERE `+of+`
		GROUP BY name, label ON CONFLICT (holder, name, label) DO UPDATE SET n = counts.n + excluded.n`, args...); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM counts WHERE `+of, args...)
	return err
}

// Counts adds up the counts of all holders. The last seconds of a worker that was killed are
// missing, see [Ledger.Renew].
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

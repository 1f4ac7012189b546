package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Pruned counts what [Ledger.Prune] deletes.
type Pruned struct {
	Runs      int64 `json:"runs"`
	Documents int64 `json:"run_documents"` // rows of runs; documents stay
	Calls     int64 `json:"calls"`
	Answers   int64 `json:"answers"`
	Workers   int64 `json:"workers"`
	Events    int64 `json:"events"` // of documents' histories
}

// Prune deletes runs that were finished or cancelled longer ago than age, with their rows and call
// records, and answers of that age. Documents, results, summaries and the newest run of each source
// and profile stay.
func (l *Ledger) Prune(ctx context.Context, age time.Duration) (Pruned, error) {
	var p Pruned
	err := l.db.Tx(ctx, func(tx sqldb.Handle) (err error) {
		if err := l.foldCounts(ctx, tx, prunedWorkers, age.Milliseconds()); err != nil {
			return fmt.Errorf("counts: %w", err)
		}
		p, err = prune(func(from, where string) (int64, error) {
			return tx.Exec(ctx, `DELETE FROM `+from+` WHERE `+where, age.Milliseconds())
		})
		return err
	})
	if err != nil {
		return p, fmt.Errorf("prune: %w", err)
	}
	return p, nil
}

// Prunable counts what [Ledger.Prune] would delete.
func (l *Ledger) Prunable(ctx context.Context, age time.Duration) (Pruned, error) {
	p, err := prune(func(from, where string) (n int64, err error) {
		return n, l.read.QueryRow(ctx, `SELECT COUNT(*) FROM `+from+` WHERE `+where, age.Milliseconds()).Scan(&n)
	})
	if err != nil {
		return p, fmt.Errorf("count what prune would delete: %w", err)
	}
	return p, nil
}

// prunedWorkers is the condition on the workers to delete; $1 is the age in milliseconds.
const prunedWorkers = `ended_at < @now - $1`

// prune calls each for the tables, the runs last; $1 is the age in milliseconds.
func prune(each func(from, where string) (int64, error)) (Pruned, error) {
	// The calls of this day count against a cap that may still be set, and belong to a whole run.
	const old = `SELECT r.num FROM runs r WHERE (r.state = 'finished' OR r.reason = 'cancelled') AND COALESCE(r.finished_at, r.created_at) < @now - $1
		AND EXISTS (SELECT 1 FROM runs n WHERE n.source_id = r.source_id AND n.profile_id = r.profile_id AND n.num > r.num)
		AND NOT EXISTS (SELECT 1 FROM results res WHERE res.run_num = r.num AND res.state = 'dead')
		AND NOT EXISTS (SELECT 1 FROM calls c WHERE c.run_num = r.num AND (c.finished_at IS NULL OR c.started_at / 86400000 >= @now / 86400000))`
	var p Pruned
	var partitions, days, work, checks int64
	for _, step := range []struct {
		n           *int64
		from, where string
	}{
		{&p.Documents, `run_documents`, `run_num IN (` + old + `)`},
		{&work, `work`, `run_num IN (` + old + `)`},
		{&partitions, `partitions`, `run_num IN (` + old + `)`},
		{&p.Calls, `calls`, `run_num IN (` + old + `)`},
		// Calls of no run are those of BeginCheck.
		{&checks, `calls`, `run_num = 0 AND started_at / 86400000 < @now / 86400000 AND started_at < @now - $1`},
		{&days, `days`, `day < (@now - $1) / 86400000`},
		{&p.Answers, `answers`, `created_at < @now - $1`},
		{&p.Workers, `workers`, prunedWorkers},
		{&p.Events, `history`, `at < @now - $1 AND document_id NOT IN (SELECT document_id FROM results WHERE state = 'dead')`},
		// A result names its run. A run goes when no result names it.
		{&p.Runs, `runs`, `num IN (` + old + `) AND num NOT IN (SELECT run_num FROM results)`},
	} {
		n, err := each(step.from, step.where)
		if err != nil {
			return p, fmt.Errorf("%s: %w", step.from, err)
		}
		*step.n = n
	}
	p.Calls += checks
	return p, nil
}

package report

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Stats describe a ledger now, all runs together. They cost about the same for ten documents and
// for ten million.
type Stats struct {
	Counts ledger.Counts
	// Remaining counts the open documents of unfinished runs. Above 100,000 it counts whole
	// partitions, so that those in work count in full.
	Remaining   int64
	DeadLetters map[ledger.Class]int64 // by class, with documents that are gone
	Runs        map[ledger.State]int64
	Workers     int64                // with a valid lease
	Planned     map[string]time.Time // by a source's URL, when its last plan succeeded
	Budgets     []RunBudget          // of unfinished runs with a cap
	// SpentTodayNano counts against a cap on this UTC day; 0 while no day has a cap.
	SpentTodayNano int64
}

// RunBudget is a run's caps and what counts against them, reservations of calls in flight included.
type RunBudget struct {
	Run                    string
	CapNano, CapTokens     *int64 // nil: none
	SpentNano, SpentTokens int64
}

// maxCounted is the number of documents up to which the remaining ones are counted one by one.
const maxCounted = 100_000

// Stats reads the statistics.
func (r Reports) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	var err error
	if s.Counts, err = r.ledger.Counts(ctx); err != nil {
		return s, err
	}
	if s.Remaining, err = r.remaining(ctx); err != nil {
		return s, fmt.Errorf("count remaining documents: %w", err)
	}
	if s.DeadLetters, err = countBy[ledger.Class](ctx, r, `SELECT class, COUNT(*) FROM results WHERE state = 'dead' GROUP BY class`); err != nil {
		return s, fmt.Errorf("count dead letters: %w", err)
	}
	if s.Runs, err = countBy[ledger.State](ctx, r, `SELECT state, COUNT(*) FROM runs GROUP BY state`); err != nil {
		return s, fmt.Errorf("count runs: %w", err)
	}
	if s.Workers, err = r.ledger.LiveWorkers(ctx); err != nil {
		return s, fmt.Errorf("count workers: %w", err)
	}
	planned, err := countBy[string](ctx, r, `SELECT url, planned_at FROM sources WHERE planned_at IS NOT NULL`)
	if err != nil {
		return s, fmt.Errorf("list the plans of sources: %w", err)
	}
	s.Planned = make(map[string]time.Time, len(planned))
	for url, ms := range planned {
		s.Planned[url] = time.UnixMilli(ms).UTC()
	}
	if s.Budgets, err = r.budgets(ctx); err != nil {
		return s, fmt.Errorf("list budgets: %w", err)
	}
	err = r.read.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(spent_nano), 0) AS BIGINT) FROM days WHERE day = @now / 86400000`).Scan(&s.SpentTodayNano)
	if err != nil {
		return s, fmt.Errorf("read the cost of the day: %w", err)
	}
	return s, nil
}

// remaining counts by partitions first: there is one for about fifty documents.
func (r Reports) remaining(ctx context.Context) (int64, error) {
	open := `p.state <> 'done' AND p.run_num IN (SELECT r.num FROM runs r WHERE ` + ledger.UnfinishedRun("r") + `)`
	var n int64
	err := r.read.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(p.documents), 0) AS BIGINT) FROM partitions p WHERE `+open).Scan(&n)
	if err != nil || n > maxCounted {
		return n, err
	}
	return n, r.read.QueryRow(ctx, `SELECT COUNT(*) FROM run_documents x WHERE x.state IN ('pending', 'claimed')
		AND x.partition_id IN (SELECT p.id FROM partitions p WHERE `+open+`)`).Scan(&n)
}

func (r Reports) budgets(ctx context.Context) ([]RunBudget, error) {
	return sqldb.Collect(ctx, r.read, func(rows *sql.Rows) (b RunBudget, err error) {
		var nano, tokens sql.NullInt64
		err = rows.Scan(&b.Run, &nano, &tokens, &b.SpentNano, &b.SpentTokens)
		if nano.Valid {
			b.CapNano = &nano.Int64
		}
		if tokens.Valid {
			b.CapTokens = &tokens.Int64
		}
		return b, err
	}, `SELECT r.name, r.budget_nano, r.budget_tokens, r.spent_nano, r.spent_tokens FROM runs r
		WHERE (r.budget_nano IS NOT NULL OR r.budget_tokens IS NOT NULL) AND `+ledger.UnfinishedRun("r")+` ORDER BY r.num`)
}

// countBy reads rows of a key and a number.
func countBy[K ~string](ctx context.Context, r Reports, statement string) (map[K]int64, error) {
	type counted struct {
		key K
		n   int64
	}
	all, err := sqldb.Collect(ctx, r.read, func(rows *sql.Rows) (c counted, err error) { return c, rows.Scan(&c.key, &c.n) }, statement)
	if err != nil {
		return nil, err
	}
	counts := make(map[K]int64, len(all))
	for _, c := range all {
		counts[c.key] = c.n
	}
	return counts, nil
}

// Flagged counts the documents that a run has done and whose summary has findings. It reads only
// those.
func (r Reports) Flagged(ctx context.Context, run ledger.RunID) (int64, error) {
	var n int64
	err := r.read.QueryRow(ctx, `SELECT COUNT(*) FROM run_documents WHERE run_num = $1 AND flagged = 1 AND state = 'done'`, run).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count flagged documents: %w", err)
	}
	return n, nil
}

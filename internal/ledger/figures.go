package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Figures are what a ledger looks like now, all runs together. They cost about the same with ten documents and with ten million.
type Figures struct {
	Counts Counts
	// Remaining are the open documents of runs that are not over. Above remainingExactly it is counted in whole partitions: those in work
	// count in full.
	Remaining   int64
	DeadLetters map[Class]int64 // by class, also of documents that are gone
	Runs        map[State]int64
	Workers     int64                // whose lease holds
	Planned     map[string]time.Time // when a plan of a source last succeeded, by its URL
	Budgets     []BudgetFigure       // of runs that are not over and have a cap
	// SpentTodayNano is what counts against a cap on this UTC day; 0 while there is no cap.
	SpentTodayNano int64
}

// BudgetFigure is a run's caps and what counts against them, reservations of calls in flight included.
type BudgetFigure struct {
	Run                    string
	CapNano, CapTokens     *int64 // nil: none
	SpentNano, SpentTokens int64
}

// remainingExactly bounds the documents that are counted one by one.
const remainingExactly = 100_000

// Figures reads them all.
func (l *Ledger) Figures(ctx context.Context) (Figures, error) {
	var f Figures
	var err error
	if f.Counts, err = l.Counts(ctx); err != nil {
		return f, err
	}
	if f.Remaining, err = l.remaining(ctx); err != nil {
		return f, fmt.Errorf("count what remains: %w", err)
	}
	if f.DeadLetters, err = countBy[Class](ctx, l, `SELECT class, COUNT(*) FROM results WHERE state = 'dead' GROUP BY class`); err != nil {
		return f, fmt.Errorf("count dead letters: %w", err)
	}
	if f.Runs, err = countBy[State](ctx, l, `SELECT state, COUNT(*) FROM runs GROUP BY state`); err != nil {
		return f, fmt.Errorf("count runs: %w", err)
	}
	if f.Workers, err = l.LiveWorkers(ctx); err != nil {
		return f, fmt.Errorf("count workers: %w", err)
	}
	planned, err := countBy[string](ctx, l, `SELECT url, planned_at FROM sources WHERE planned_at IS NOT NULL`)
	if err != nil {
		return f, fmt.Errorf("list the plans of sources: %w", err)
	}
	f.Planned = make(map[string]time.Time, len(planned))
	for url, ms := range planned {
		f.Planned[url] = time.UnixMilli(ms).UTC()
	}
	if f.Budgets, err = l.budgetFigures(ctx); err != nil {
		return f, fmt.Errorf("list budgets: %w", err)
	}
	err = l.read.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(spent_nano), 0) AS BIGINT) FROM days WHERE day = @now / 86400000`).Scan(&f.SpentTodayNano)
	if err != nil {
		return f, fmt.Errorf("read what the day has cost: %w", err)
	}
	return f, nil
}

// remaining counts in partitions first, of which there is one for some fifty documents.
func (l *Ledger) remaining(ctx context.Context) (int64, error) {
	open := `p.state <> 'done' AND p.run_num IN (SELECT r.num FROM runs r WHERE ` + unfinished("r") + `)`
	var n int64
	if err := l.read.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(p.documents), 0) AS BIGINT) FROM partitions p WHERE `+open).Scan(&n); err != nil || n > remainingExactly {
		return n, err
	}
	return n, l.read.QueryRow(ctx, `SELECT COUNT(*) FROM run_documents x WHERE x.state IN ('pending', 'claimed')
		AND x.partition_id IN (SELECT p.id FROM partitions p WHERE `+open+`)`).Scan(&n)
}

func (l *Ledger) budgetFigures(ctx context.Context) ([]BudgetFigure, error) {
	return sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (b BudgetFigure, err error) {
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
		WHERE (r.budget_nano IS NOT NULL OR r.budget_tokens IS NOT NULL) AND `+unfinished("r")+` ORDER BY r.num`)
}

// countBy reads rows of a key and a number.
func countBy[K ~string](ctx context.Context, l *Ledger, statement string) (map[K]int64, error) {
	type counted struct {
		key K
		n   int64
	}
	all, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (c counted, err error) { return c, rows.Scan(&c.key, &c.n) }, statement)
	if err != nil {
		return nil, err
	}
	counts := make(map[K]int64, len(all))
	for _, c := range all {
		counts[c.key] = c.n
	}
	return counts, nil
}

// Planned notes that a plan of a source has succeeded: its run is visible and its tasks are in the queue.
func (l *Ledger) Planned(ctx context.Context, source SourceID) error {
	if _, err := l.write.Exec(ctx, `UPDATE sources SET planned_at = @now WHERE id = $1`, source); err != nil {
		return fmt.Errorf("note the plan: %w", err)
	}
	return nil
}

package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Summary is what was made of a content under a profile.
type Summary struct {
	Name      string // names what determines it; SHA-256
	Title     string
	Text      string
	Output    json.RawMessage // whole object of a custom schema, else nil
	Model     string          // who answered
	Endpoint  string          // … and where: the host; empty for the built-in engine
	TokensIn  int64
	TokensOut int64
	CostNano  *int64 // nil: the price is unknown
	Chunks    int64
	Checks    json.RawMessage // findings of the checks, a JSON array
	Created   time.Time
}

const summaryColumns = `name, title, text, output, model, endpoint, tokens_in, tokens_out, cost_nano, chunks, checks, created_at`

func (s *Summary) scan(row interface{ Scan(...any) error }) error {
	var cost, created sql.NullInt64
	var output sql.NullString
	var checks string
	err := row.Scan(&s.Name, &s.Title, &s.Text, &output, &s.Model, &s.Endpoint, &s.TokensIn, &s.TokensOut, &cost, &s.Chunks, &checks, &created)
	s.fill(output, cost, created, checks)
	return err
}

func (s *Summary) fill(output sql.NullString, cost, created sql.NullInt64, checks string) {
	if output.Valid {
		s.Output = json.RawMessage(output.String)
	}
	if cost.Valid {
		s.CostNano = &cost.Int64
	}
	s.Checks = json.RawMessage(checks)
	s.Created = fromMillis(created)
}

// search is a look for a summary that waits for others.
type search struct {
	name  string
	since int64
	found *Summary
}

// Summary finds a summary by its name, if it was not made before since (zero: any). It is for workers: searches of many documents, and
// their writes, share a transaction.
func (l *Ledger) Summary(ctx context.Context, name string, since time.Time) (Summary, error) {
	s := &search{name: name, since: sinceMillis(since)}
	if err := l.group.add(ctx, func(tx *batch) { tx.sought = append(tx.sought, s) }); err != nil {
		return Summary{Name: name}, fmt.Errorf("find a summary: %w", err)
	}
	if s.found == nil {
		return Summary{Name: name}, ErrNotFound
	}
	return *s.found, nil
}

// keptSummary reads one summary and waits for no write.
func (l *Ledger) keptSummary(ctx context.Context, name string) (s Summary, err error) {
	return s, s.scan(l.read.QueryRow(ctx, `SELECT `+summaryColumns+` FROM summaries WHERE name = $1`, name))
}

// search finds the summaries that a batch looks for.
func (l *Ledger) search(ctx context.Context, tx *batch) error {
	for some := range sqldb.Chunks(tx.sought) {
		names := make([]any, len(some))
		for i, s := range some {
			names[i], s.found = s.name, nil
		}
		found, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (s Summary, err error) { return s, s.scan(rows) },
			`SELECT `+summaryColumns+` FROM summaries WHERE name IN (`+sqldb.Placeholders(1, len(names))+`)`, names...)
		if err != nil {
			return err
		}
		for _, f := range found {
			for _, s := range some {
				if s.name == f.Name && f.Created.UnixMilli() >= s.since {
					s.found = &f
				}
			}
		}
	}
	return nil
}

func sinceMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

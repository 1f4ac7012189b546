package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Summary is the result for a content under a profile.
type Summary struct {
	Name      string // SHA-256 of all that determines it
	Title     string
	Text      string
	Output    json.RawMessage // the object of a custom schema, else nil
	Model     string          // that answered
	Endpoint  string          // host that answered; empty for the extractive engine
	TokensIn  int64
	TokensOut int64
	CostNano  *int64 // nil: the price is unknown
	Chunks    int64
	Checks    json.RawMessage // findings of the checks, a JSON array
	Created   time.Time
}

// Exported is a document with its summary.
type Exported struct {
	Source        string // URL
	URI           string
	ID            string // of a JSON line; empty for a file
	Fields        Fields // of a JSON line
	ContentSHA256 string
	Profile       string // hash
	Run           string // name
	Summary       Summary
}

// SummaryColumns lists what [Summary.Scan] reads of the table summaries under the name m.
const SummaryColumns = `m.name, m.title, m.text, m.output, m.model, m.endpoint, m.tokens_in, m.tokens_out, m.cost_nano, m.chunks, m.checks, m.created_at`

// Scan reads a row of [SummaryColumns]. before are the places for columns that come before them.
func (s *Summary) Scan(row interface{ Scan(...any) error }, before ...any) error {
	var cost, created sql.NullInt64
	var output sql.NullString
	var checks string
	err := row.Scan(append(before, &s.Name, &s.Title, &s.Text, &output, &s.Model, &s.Endpoint, &s.TokensIn, &s.TokensOut, &cost, &s.Chunks, &checks, &created)...)
	if output.Valid {
		s.Output = json.RawMessage(output.String)
	}
	if cost.Valid {
		s.CostNano = &cost.Int64
	}
	s.Checks = json.RawMessage(checks)
	s.Created = sqldb.Time(created)
	return err
}

// flagged is 1 for a summary with findings, else 0.
func (s *Summary) flagged() int {
	if len(s.Checks) > 0 && string(s.Checks) != "[]" {
		return 1
	}
	return 0
}

// lookup is a search for a summary that waits for its transaction.
type lookup struct {
	name  string
	since int64
	found *Summary
}

// Summary finds a summary by its name. It fails with [ErrNotFound] when there is none, or when it
// was made before since (zero: any). It is for workers: look-ups of many documents share a
// transaction with their writes.
func (l *Ledger) Summary(ctx context.Context, name string, since time.Time) (Summary, error) {
	s := &lookup{name: name, since: sinceMillis(since)}
	if err := l.commits.add(ctx, func(tx *batch) { tx.lookups = append(tx.lookups, s) }); err != nil {
		return Summary{Name: name}, fmt.Errorf("find a summary: %w", err)
	}
	if s.found == nil {
		return Summary{Name: name}, ErrNotFound
	}
	return *s.found, nil
}

// findSummaries runs the look-ups of a batch.
func (l *Ledger) findSummaries(ctx context.Context, tx *batch) error {
	for some := range sqldb.Chunks(tx.lookups) {
		names := make([]any, len(some))
		for i, s := range some {
			names[i], s.found = s.name, nil
		}
		found, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (s Summary, err error) { return s, s.Scan(rows) },
			`SELECT `+SummaryColumns+` FROM summaries m WHERE m.name IN (`+sqldb.Placeholders(1, len(names))+`)`, names...)
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

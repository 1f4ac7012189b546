package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
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

// readTimeout bounds the look-up of a row on a server that has stopped to answer.
const readTimeout = time.Minute

// Summary finds a summary by its name, if it was not made before since (zero: any).
func (l *Ledger) Summary(ctx context.Context, name string, since time.Time) (Summary, error) {
	s := Summary{Name: name}
	var cost, created sql.NullInt64
	var output sql.NullString
	var checks string
	ctx, cancel := l.dialect.bound(ctx, readTimeout)
	defer cancel()
	err := l.row(ctx, l.read, `SELECT title, text, output, model, endpoint, tokens_in, tokens_out, cost_nano, chunks, checks, created_at FROM summaries
		WHERE name = $1 AND created_at >= $2`, name, sinceMillis(since)).
		Scan(&s.Title, &s.Text, &output, &s.Model, &s.Endpoint, &s.TokensIn, &s.TokensOut, &cost, &s.Chunks, &checks, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrNotFound
	}
	if err != nil {
		return s, fmt.Errorf("find a summary: %w", err)
	}
	s.fill(output, cost, created, checks)
	return s, nil
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

func sinceMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Read says what a worker has read of a document: which version, and the SHA-256 of its bytes.
type Read struct {
	Version, SHA256 string
}

// Done books a document as done with a summary that is in the ledger already or is brought along. The summary is
// kept, whoever brings it; the outcome is refused with ErrStale when the claim is not the worker's any more.
// A summary with zero Created is new and is stored.
func (l *Ledger) Done(ctx context.Context, worker int64, c Claimed, read Read, s Summary) error {
	return l.settle(ctx, worker, c, func(ctx context.Context, tx *batch) error {
		if !s.Created.IsZero() {
			return nil
		}
		return l.putSummary(ctx, tx, c, s)
	}, fmt.Sprintf(`state = 'done', tries = tries + 1, attempts = attempts + 1, suspect = 0, flagged = %d`, s.flag()), func(ctx context.Context, tx *batch) error {
		if err := l.putResult(ctx, tx, c, read, "done", s.Name, "", ""); err != nil || c.Attempts == 0 {
			return err
		}
		// Only a history that has begun is ended: most documents have none.
		return l.remember(ctx, tx, c, "done", c.Attempts+1, "", "")
	})
}

func (l *Ledger) putSummary(ctx context.Context, tx *batch, c Claimed, s Summary) error {
	var output any
	if s.Output != nil {
		output = string(s.Output)
	}
	checks := "[]"
	if s.Checks != nil {
		checks = string(s.Checks)
	}
	_, err := l.exec(ctx, tx, `INSERT INTO summaries (name, profile_id, run_num, title, text, output, model, tokens_in, tokens_out, cost_nano, chunks, checks, endpoint, created_at)
		SELECT $1, r.profile_id, r.num, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, @now FROM runs r WHERE r.num = $12
		ON CONFLICT (name) DO UPDATE SET run_num = excluded.run_num, title = excluded.title, text = excluded.text, output = excluded.output, model = excluded.model,
		tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out, cost_nano = excluded.cost_nano, chunks = excluded.chunks,
		checks = excluded.checks, endpoint = excluded.endpoint, created_at = excluded.created_at`,
		s.Name, s.Title, s.Text, output, s.Model, s.TokensIn, s.TokensOut, nullable(s.CostNano), s.Chunks, checks, s.Endpoint, c.Run)
	return err
}

// Failed books an attempt that a later one may mend: the document is pending again, not to be tried before after
// has passed.
func (l *Ledger) Failed(ctx context.Context, worker int64, c Claimed, class, message string, after time.Duration) error {
	return l.settle(ctx, worker, c, nil, fmt.Sprintf(`state = 'pending', worker_id = NULL, tries = tries + 1, attempts = attempts + 1,
		due_at = @now + %d`, after.Milliseconds()), func(ctx context.Context, tx *batch) error {
		return l.remember(ctx, tx, c, "failed", c.Attempts+1, class, message)
	})
}

// Crashed books that the document's reader died. It will be read in a child process again.
func (l *Ledger) Crashed(ctx context.Context, worker int64, c Claimed, message string) error {
	return l.settle(ctx, worker, c, nil, `state = 'pending', worker_id = NULL, suspect = 1, crashes = crashes + 1, due_at = 0`,
		func(ctx context.Context, tx *batch) error {
			return l.remember(ctx, tx, c, "crashed", c.Attempts, "crashing", message)
		})
}

// CountCrash adds to the crashes of a claimed document: 1 before it is read in a way that may take the worker down with it, and -1
// when it did not.
func (l *Ledger) CountCrash(ctx context.Context, worker int64, c Claimed, by int64) error {
	return l.settle(ctx, worker, c, nil, fmt.Sprintf("crashes = crashes + %d", by), nil)
}

// Dead books a document as dead with the class and the reason. The attempt counts.
func (l *Ledger) Dead(ctx context.Context, worker int64, c Claimed, read Read, class, message string) error {
	return l.settle(ctx, worker, c, nil, `state = 'dead', tries = tries + 1, attempts = attempts + 1`, func(ctx context.Context, tx *batch) error {
		if read.Version == "" {
			read.Version = c.Version
		}
		if err := l.putResult(ctx, tx, c, read, "dead", nil, class, message); err != nil {
			return err
		}
		return l.remember(ctx, tx, c, "dead", c.Attempts+1, class, message)
	})
}

// settle writes one outcome: first what is kept in any case, then, under the fence, the document's row and the rest.
func (l *Ledger) settle(ctx context.Context, worker int64, c Claimed, always func(context.Context, *batch) error, set string,
	fenced func(context.Context, *batch) error,
) error {
	stale := false
	err := l.group.do(ctx, func(ctx context.Context, tx *batch) error {
		stale = false
		if always != nil {
			if err := always(ctx, tx); err != nil {
				return err
			}
		}
		n, err := l.exec(ctx, tx, `UPDATE run_documents SET `+set+` `+whereClaimed(1), c.Run, c.Document, c.Epoch, worker)
		if err != nil {
			return err
		}
		if n == 0 {
			stale = true
			return nil
		}
		if fenced == nil {
			return nil
		}
		return fenced(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("book the outcome: %w", err)
	}
	if stale {
		return ErrStale
	}
	return nil
}

func (l *Ledger) putResult(ctx context.Context, tx *batch, c Claimed, read Read, state string, summary any, class, message string) error {
	_, err := l.exec(ctx, tx, `INSERT INTO results (document_id, profile_id, run_num, version, state, content_sha256, summary, class, message, attempts, at)
		SELECT $1, r.profile_id, r.num, $2, $3, $4, $5, $6, $7, $8, @now FROM runs r WHERE r.num = $9
		ON CONFLICT (document_id, profile_id) DO UPDATE SET run_num = excluded.run_num, version = excluded.version, state = excluded.state,
		content_sha256 = excluded.content_sha256, summary = excluded.summary, class = excluded.class, message = excluded.message,
		attempts = excluded.attempts, at = excluded.at`,
		c.Document, read.Version, state, read.SHA256, summary, class, message, c.Attempts+1, c.Run)
	return err
}

func (l *Ledger) remember(ctx context.Context, tx *batch, c Claimed, event string, attempt int64, class, message string) error {
	_, err := l.exec(ctx, tx, `INSERT INTO history (document_id, run_num, at, event, attempt, class, message) VALUES ($1, $2, @now, $3, $4, $5, $6)`,
		c.Document, c.Run, event, attempt, class, message)
	return err
}

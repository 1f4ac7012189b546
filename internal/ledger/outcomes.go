package ledger

import (
	"context"
	"fmt"
	"time"
)

// Read is what a worker has read of a document.
type Read struct {
	Version string
	SHA256  string // of its bytes
	Fields  Fields
}

// Failed books an attempt that failed and may succeed later: the document is pending again, and due
// after the given time. It fails with [ErrStale] when the claim is stale.
func (l *Ledger) Failed(ctx context.Context, worker WorkerID, c Claimed, class Class, message string, after time.Duration) error {
	return l.bookOutcome(ctx, worker, c, fmt.Sprintf(`state = 'pending', worker_id = NULL, tries = tries + 1, attempts = attempts + 1,
		due_at = @now + %d`, after.Milliseconds()), func(ctx context.Context, tx *batch) error {
		return l.addHistory(ctx, tx, c, "failed", c.Attempts+1, class, message)
	})
}

// Crashed books that the document's reader died. The document is due at once, as a suspect. It
// fails with [ErrStale] when the claim is stale.
func (l *Ledger) Crashed(ctx context.Context, worker WorkerID, c Claimed, message string) error {
	return l.bookOutcome(ctx, worker, c, `state = 'pending', worker_id = NULL, suspect = 1, crashes = crashes + 1, due_at = 0`,
		func(ctx context.Context, tx *batch) error {
			return l.addHistory(ctx, tx, c, "crashed", c.Attempts, ClassCrashing, message)
		})
}

// CountCrash adds to the crashes of a claimed document: 1 before it is read in a way that may kill
// the worker, and -1 when the worker survived. It fails with [ErrStale] when the claim is stale.
func (l *Ledger) CountCrash(ctx context.Context, worker WorkerID, c Claimed, by int64) error {
	return l.bookOutcome(ctx, worker, c, fmt.Sprintf("crashes = crashes + %d", by), nil)
}

// Dead books a document as a dead letter with a class and a reason. It uses an attempt. It fails
// with [ErrStale] when the claim is stale.
func (l *Ledger) Dead(ctx context.Context, worker WorkerID, c Claimed, read Read, class Class, message string) error {
	return l.bookOutcome(ctx, worker, c, `state = 'dead', tries = tries + 1, attempts = attempts + 1`, func(ctx context.Context, tx *batch) error {
		if read.Version == "" {
			read.Version = c.Version
		}
		tx.did(c.Run, worker, workDone{documents: 1})
		if _, err := tx.Exec(ctx, `INSERT INTO results (document_id, profile_id, run_num, version, state, content_sha256, class, message, attempts, at)
			SELECT $1, r.profile_id, r.num, $2, 'dead', $3, $4, $5, $6, @now FROM runs r WHERE r.num = $7 `+replaceResult,
			c.Document, read.Version, read.SHA256, string(class), message, c.Attempts+1, c.Run); err != nil {
			return err
		}
		return l.addHistory(ctx, tx, c, "dead", c.Attempts+1, class, message)
	})
}

// bookOutcome books an outcome without a summary: the document's row, and what write adds when the
// claim is not stale.
func (l *Ledger) bookOutcome(ctx context.Context, worker WorkerID, c Claimed, set string, write func(context.Context, *batch) error) error {
	stale := false
	err := l.commits.do(ctx, func(ctx context.Context, tx *batch) error {
		stale = false
		n, err := tx.Exec(ctx, `UPDATE run_documents SET `+set+` `+whereClaimed(1), c.Run, c.Document, c.Epoch, worker)
		if err != nil {
			return err
		}
		if n == 0 {
			stale = true
			return nil
		}
		if write == nil {
			return nil
		}
		return write(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("book the outcome: %w", err)
	}
	if stale {
		return ErrStale
	}
	return nil
}

// replaceResult ends an INSERT into results.
const replaceResult = `ON CONFLICT (document_id, profile_id) DO UPDATE SET run_num = excluded.run_num, version = excluded.version, state = excluded.state,
	content_sha256 = excluded.content_sha256, summary = excluded.summary, class = excluded.class, message = excluded.message,
	attempts = excluded.attempts, at = excluded.at, fields = excluded.fields`

func (l *Ledger) addHistory(ctx context.Context, tx *batch, c Claimed, event string, attempt int64, class Class, message string) error {
	_, err := tx.Exec(ctx, `INSERT INTO history (document_id, run_num, at, event, attempt, class, message) VALUES ($1, $2, @now, $3, $4, $5, $6)`,
		c.Document, c.Run, event, attempt, string(class), message)
	return err
}

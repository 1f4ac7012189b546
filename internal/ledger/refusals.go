package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Refused books that the endpoint refused a document, and that nothing tells yet whether the
// document is at fault, or the account or the settings. It uses no attempt: the document is pending
// again, and due after the given time. class and message are those of its dead letter, if it
// becomes one. It fails with [ErrStale] when the claim is stale.
func (l *Ledger) Refused(ctx context.Context, worker WorkerID, c Claimed, class Class, message string, after time.Duration) error {
	// A run that was halted meanwhile has forgotten its refusals.
	const running = `EXISTS (SELECT 1 FROM runs r WHERE r.num = run_documents.run_num AND r.state = 'running')`
	stale := false
	err := l.commits.do(ctx, func(ctx context.Context, tx *batch) error {
		n, err := tx.Exec(ctx, `UPDATE run_documents SET state = 'pending', worker_id = NULL, due_at = @now + $1,
			refusals = CASE WHEN `+running+` THEN refusals + 1 ELSE 0 END,
			refused_call = CASE WHEN `+running+` THEN (SELECT COALESCE(MAX(id), 0) FROM calls) END, refusal_class = $2, refusal = $3 `+whereClaimed(4),
			after.Milliseconds(), string(class), message, c.Run, c.Document, c.Epoch, worker)
		stale = n == 0
		return err
	})
	if err != nil {
		return fmt.Errorf("book a refusal: %w", err)
	}
	if stale {
		return ErrStale
	}
	return nil
}

// Refusals is what a run's documents tell about the refusal of one of them.
type Refusals struct {
	// Class and Message are those of this document's last refusal. Answered: a call of the run that
	// was begun after it brought an answer. Both are empty if the document was not refused.
	Class    Class
	Message  string
	Answered bool
	// Suspects are the other open documents that were refused, without an answer to a call of the run
	// that was begun later. Others: there are other open documents, which are none.
	Suspects int64
	Others   bool
	// Ever: any call of the run brought an answer.
	Ever bool
}

// Refusals reads what is known of the refusal of a document.
func (l *Ledger) Refusals(ctx context.Context, c Claimed) (Refusals, error) {
	var r Refusals
	var class string
	// The last call of the run with an answer. Calls have ids in the order in which they are begun.
	const answer = `COALESCE((SELECT k.id FROM calls k WHERE k.run_num = $1 AND k.class = '` + string(ClassOK) + `' ORDER BY k.id DESC LIMIT 1), 0)`
	err := l.read.QueryRow(ctx, `SELECT d.refusal_class, d.refusal, CASE WHEN d.refused_call < a.last THEN 1 ELSE 0 END,
		CASE WHEN a.last > 0 THEN 1 ELSE 0 END,
		(SELECT COUNT(*) FROM run_documents x WHERE x.run_num = $1 AND x.refused_call IS NOT NULL AND x.refused_call >= a.last
			AND x.state IN ('pending', 'claimed') AND x.document_id <> $2),
		CASE WHEN EXISTS (SELECT 1 FROM run_documents x JOIN partitions p ON p.id = x.partition_id WHERE p.run_num = $1 AND p.state = 'ready'
			AND x.run_num = $1 AND x.state IN ('pending', 'claimed') AND x.document_id <> $2 AND COALESCE(x.refused_call, -1) < a.last) THEN 1 ELSE 0 END
		FROM run_documents d, (SELECT `+answer+` AS last) a WHERE d.run_num = $1 AND d.document_id = $2`, c.Run, c.Document).
		Scan(&class, &r.Message, &r.Answered, &r.Ever, &r.Suspects, &r.Others)
	if err != nil {
		return r, fmt.Errorf("read the refusals of a run: %w", err)
	}
	r.Class = Class(class)
	return r, nil
}

// forgetRefusals makes a run's suspects ordinary documents again: the run stops for what the
// endpoint refused.
func forgetRefusals(ctx context.Context, tx sqldb.Handle, run RunID) error {
	_, err := tx.Exec(ctx, `UPDATE run_documents SET refusals = 0, refused_call = NULL, due_at = CASE WHEN state = 'pending' THEN 0 ELSE due_at END
		WHERE run_num = $1 AND refused_call IS NOT NULL AND state IN ('pending', 'claimed')`, run)
	return err
}

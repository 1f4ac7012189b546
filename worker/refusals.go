package worker

import (
	"context"
	"fmt"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

// One document or the endpoint? An endpoint that refuses a document without saying why (a 400, 403,
// 404, 409, 422 or 424 in unknown words) may mean the document, or the account and the settings.
// What other documents get shows it. The document becomes a suspect: it goes back to waiting and
// uses no attempt. It is dead when it was refused twice and calls that were begun later brought
// answers. The run is halted when many documents in a row are refused, or all that are left.
// Suspects are in the ledger, so that all workers see them, also after a restart.

const (
	// refusedTimes is how often a document is refused before it is dead.
	refusedTimes = 2
	// haltAfter is the number of documents that are refused without an answer between them until the
	// run is halted, haltAfterNone that if no call of the run has ever been answered.
	haltAfter     = 10
	haltAfterNone = 3
)

// refusal is a decision about a document that was refused.
type refusal int

const (
	askLater  refusal = iota // others show first what the refusal means
	secondTry                // now
	itsFault                 // the document is dead
	theirs                   // the account or the settings are to blame: the run is halted
)

// decideRefusal decides what a refusal means. times is how often the document was refused, and now
// is set if the last refusal is of this moment, so that no answer can have followed it.
func decideRefusal(times int64, now bool, r ledger.Refusals) refusal {
	limit := int64(haltAfterNone)
	if r.Ever {
		limit = haltAfter
	}
	answered := r.Answered && !now
	switch {
	case answered && times >= refusedTimes:
		return itsFault
	case answered:
		return secondTry
	case r.Suspects+1 >= limit, !r.Others && r.Suspects > 0:
		return theirs
	case r.Others:
		return askLater
	// It is the last document. Nothing else can show what the refusal means.
	case times < refusedTimes && now:
		return askLater
	case times < refusedTimes:
		return secondTry
	case r.Ever:
		return itsFault
	}
	return theirs
}

// refused is the outcome of a document that the endpoint refused just now, without saying whether
// the document is at fault.
func (w *Worker) refused(ctx context.Context, r *openRun, c ledger.Claimed, read ledger.Read, e *llm.Error) outcome {
	class := ledger.ClassBadRequest
	if e.Status == 403 {
		class = ledger.ClassRefused
	}
	known, err := w.refusals(ctx, c)
	if err != nil {
		return release{}
	}
	c.Refusals++
	switch decideRefusal(c.Refusals, true, known) {
	case theirs:
		w.blameSettings(r, e.Error())
		return release{}
	case itsFault:
		return dead{read: read, class: class, message: e.Error()}
	default:
		return suspected{class: class, message: e.Error(), after: w.config.Retry.Delay(c.Refusals)}
	}
}

// stillSuspected decides about a suspect before it is asked again: nil if it can be asked now.
func (w *Worker) stillSuspected(ctx context.Context, r *openRun, c ledger.Claimed) outcome {
	if c.Refusals == 0 {
		return nil
	}
	known, err := w.refusals(ctx, c)
	if err != nil {
		return release{}
	}
	switch decideRefusal(c.Refusals, false, known) {
	case itsFault:
		return dead{class: known.Class, message: known.Message}
	case theirs:
		w.blameSettings(r, known.Message)
		return release{}
	case askLater:
		return release{after: w.config.Retry.Delay(c.Refusals)}
	}
	return nil
}

// refusals reads what is known of a document's refusal. It waits while the ledger is away.
func (w *Worker) refusals(ctx context.Context, c ledger.Claimed) (known ledger.Refusals, err error) {
	err = w.persist(ctx, "read the refusals", func() error {
		known, err = w.ledger.Refusals(ctx, c)
		return err
	})
	return known, err
}

// blameSettings halts a run whose documents are all refused.
func (w *Worker) blameSettings(r *openRun, message string) {
	w.cannotWork(r, byCall, halted(fmt.Sprintf("the endpoint refuses every request, so the settings or the account are to blame: %s", message)))
}

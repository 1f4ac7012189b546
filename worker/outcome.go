package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

const (
	// crashLimit is how often a document's reader may die.
	crashLimit = 3
	// busyWait is how long a document waits while an equal call is in flight.
	busyWait = 500 * time.Millisecond
	// reservedWait is how long a document waits while what is left of a budget is reserved by calls in flight.
	reservedWait = 250 * time.Millisecond
	// refusalLimit is after how many bad requests in a row, no answer between, the settings are to blame and not the
	// documents.
	refusalLimit = 10
)

// outcome is what becomes of a claimed document. Exactly one is booked for each claim.
type outcome interface {
	book(ctx context.Context, w *Worker, c ledger.Claimed) error
}

// done: there is a summary, made now or found.
type done struct {
	read    ledger.Read
	summary ledger.Summary
}

func (o done) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.Ledger.Done(ctx, w.id, c, o.read, o.summary)
}

// failed: a later try may mend it.
type failed struct {
	class   ledger.Class
	message string
	after   time.Duration
}

func (o failed) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.Ledger.Failed(ctx, w.id, c, o.class, o.message, o.after)
}

// dead: no retry mends it, or none is left.
type dead struct {
	read    ledger.Read
	class   ledger.Class
	message string
	// answers are the names of calls whose answers were of no use.
	answers []string
}

func (o dead) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	if err := w.Ledger.ForgetAnswers(ctx, o.answers); err != nil {
		return err
	}
	return w.Ledger.Dead(ctx, w.id, c, o.read, o.class, o.message)
}

// crashing: the document's reader died.
type crashing struct{ message string }

func (o crashing) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.Ledger.Crashed(ctx, w.id, c, o.message)
}

// release: handed back, no attempt spent.
type release struct{ after time.Duration }

func (o release) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.Ledger.Release(ctx, w.id, c, o.after)
}

// book writes an outcome, and keeps trying while the ledger is away: what was paid for is not thrown away. A stale one is
// refused by the ledger and only counted.
func (w *Worker) book(ctx context.Context, c ledger.Claimed, o outcome) (booked bool) {
	defer w.hands.drop(c)
	// An outcome is written also when the calls were cancelled: it is what ends the claim.
	ctx = context.WithoutCancel(ctx)
	err := w.persist(w.calls, "book an outcome", func() error { return o.book(ctx, w, c) })
	switch {
	case err == nil:
		w.count(o)
		w.logOutcome(c, o)
	case errors.Is(err, ledger.ErrStale):
		w.Stale.Add(1)
		w.tally.add(1, ledger.CountStale, "")
		w.Log.Warn("stale outcome refused: the document was taken over", "doc", c.URI)
	case w.noteFull(err): // the worker's end says it
	default:
		w.Log.Error("outcome not booked; the claim lapses and the document is done again", "doc", c.URI, "error", err)
	}
	return err == nil
}

// show passes a done document on to who wants to see it.
func (w *Worker) show(j *job, c ledger.Claimed, o outcome) {
	if d, ok := o.(done); ok && w.Done != nil {
		w.Done(ledger.Exported{
			Source: j.run.Source, URI: c.URI, ContentSHA256: d.read.SHA256, Profile: j.run.Profile, Run: j.run.Name, Summary: d.summary,
		})
	}
}

// persist asks the ledger, or writes to it, until it has answered, with growing pauses; when ctx ends, or the disk is full and that
// is to end the worker, the last error stands.
func (w *Worker) persist(ctx context.Context, what string, do func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := do()
		if err == nil || refused(err) || ctx.Err() != nil || w.noteFull(err) {
			return err
		}
		if w.complaint.due(time.Now()) {
			w.Log.Warn("the ledger does not answer, trying again", "step", what, "error", err)
		}
		sleep(ctx, pause)
	}
}

// refused says that the ledger is there, and what it says is no.
func refused(err error) bool {
	for _, refusal := range []error{ledger.ErrNotFound, ledger.ErrStale, ledger.ErrBusy, ledger.ErrReserved, ledger.ErrBudget, ledger.ErrUnpriced} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// count adds a document's end; whoever tries again or hands back has ended nothing.
func (w *Worker) count(o outcome) {
	switch o.(type) {
	case done:
		w.tally.add(1, ledger.CountDocuments, ledger.LabelDone)
	case dead:
		w.tally.add(1, ledger.CountDocuments, ledger.LabelDead)
	}
}

func (w *Worker) logOutcome(c ledger.Claimed, o outcome) {
	switch o := o.(type) {
	case done:
		w.Log.Debug("done", "doc", c.URI, "tokens_in", o.summary.TokensIn, "tokens_out", o.summary.TokensOut)
	case failed:
		w.Log.Info("failed, to be tried again", "doc", c.URI, "class", o.class, "message", o.message, "attempt", c.Attempts+1, "after", o.after)
	case dead:
		w.Log.Warn("dead", "doc", c.URI, "class", o.class, "message", o.message, "attempt", c.Attempts+1)
	case crashing:
		w.Log.Warn("reader died", "doc", c.URI, "message", o.message, "crashes", c.Crashes+1)
	case release:
		w.Log.Debug("handed back", "doc", c.URI, "after", o.after)
	}
}

// classify decides what an error means for a document. It is the only place that does.
func (w *Worker) classify(ctx context.Context, j *job, c ledger.Claimed, read ledger.Read, err error) outcome {
	var (
		input  *source.InputError
		crash  *extract.CrashError
		stuck  *extract.StuckError
		output *summarize.OutputError
		call   *llm.Error
		day    *ledger.DayBudgetError
	)
	switch {
	case w.calls.Err() != nil, errors.Is(err, errStopped), w.EndWhenFull && ledger.IsFull(err):
		return release{}
	case errors.As(err, &input):
		return dead{read: read, class: ledger.ClassInput, message: input.Reason}
	case errors.Is(err, summarize.ErrNoText):
		return dead{read: read, class: ledger.ClassInput, message: "empty document: it has no text"}
	case errors.Is(err, source.ErrGone):
		return dead{read: read, class: ledger.ClassInputGone, message: "the document is gone from its source"}
	case errors.As(err, &crash):
		return w.crashed(c, crash.Reason)
	case errors.As(err, &stuck):
		w.Log.Error("a reader is stuck in this process and can't be ended: from now on child processes read, which is slower; start the worker anew when it suits",
			"doc", c.URI, "stuck", w.Reader.Stuck())
		return w.crashed(c, stuck.Error())
	case errors.As(err, &output):
		return dead{read: read, class: ledger.Class(output.Class), message: output.Message, answers: output.Requests}
	case errors.Is(err, ledger.ErrBusy):
		return release{after: busyWait}
	case errors.Is(err, ledger.ErrReserved):
		return release{after: reservedWait}
	case errors.As(err, &day):
		w.stop(ctx, j, ledger.Budget, fmt.Sprintf("the budget of the day ($%g, all runs) is reached; the day ends at %s: `gistmill resume %s` then, or a higher --budget-usd-day now, goes on",
			float64(*w.DayCapNano)/1e9, day.Ends.Format("2006-01-02 15:04 MST"), j.run.Name))
		return release{}
	case errors.Is(err, ledger.ErrBudget):
		w.stop(ctx, j, ledger.Budget, "the budget of the run is reached; `gistmill resume "+j.run.Name+" --budget-usd X` (or --budget-tokens N) raises it")
		return release{}
	case errors.Is(err, ledger.ErrUnpriced):
		w.stop(ctx, j, ledger.Halted, (&llm.UnpricedError{Models: w.Prices.Unknown(w.Endpoints.Models(j.profile.Model)...)}).Error())
		return release{}
	case errors.As(err, &call):
		return w.classifyCall(ctx, j, c, read, call)
	default:
		return w.tryAgain(c, read, ledger.ClassTransient, err.Error())
	}
}

func (w *Worker) classifyCall(ctx context.Context, j *job, c ledger.Claimed, read ledger.Read, e *llm.Error) outcome {
	switch e.Class {
	case llm.RateLimited:
		return release{after: max(e.RetryAfter, time.Second)}
	case llm.Halted:
		w.stop(ctx, j, ledger.Halted, e.Error())
		return release{}
	case llm.Refused:
		return dead{read: read, class: ledger.ClassRefused, message: e.Error()}
	case llm.TooLong:
		return dead{read: read, class: ledger.ClassOutputTooLong, message: e.Error()}
	case llm.ContextLength:
		return dead{read: read, class: ledger.ClassInput, message: e.Error()}
	case llm.BadRequest:
		if w.refusals.Add(1) >= refusalLimit {
			w.stop(ctx, j, ledger.Halted, fmt.Sprintf("the endpoint refuses every request, so the settings are to blame: %v", e))
			return release{}
		}
		return dead{read: read, class: ledger.ClassBadRequest, message: e.Error()}
	default:
		return w.tryAgain(c, read, ledger.Class(e.Class), e.Error())
	}
}

func (w *Worker) tryAgain(c ledger.Claimed, read ledger.Read, class ledger.Class, message string) outcome {
	tries := c.Tries + 1
	if w.Retry.Exhausted(tries) {
		return dead{read: read, class: ledger.ClassExhausted, message: fmt.Sprintf("%d attempts, the last: %s", tries, message)}
	}
	return failed{class: class, message: message, after: w.Retry.Delay(tries)}
}

// crashed decides about a document whose reader died: three times is enough.
func (w *Worker) crashed(c ledger.Claimed, message string) outcome {
	if c.Crashes+1 >= crashLimit {
		return dead{class: ledger.ClassCrashing, message: fmt.Sprintf("its reader died %d times: %s", c.Crashes+1, message)}
	}
	return crashing{message}
}

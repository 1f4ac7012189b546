package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

const (
	// crashLimit is the number of crashes after which a document is dead.
	crashLimit = 3
	// busyWait is how long a document waits while another document makes the same call.
	busyWait = 500 * time.Millisecond
	// reservedWait is how long a document waits while calls in flight reserve the rest of a budget.
	reservedWait = 250 * time.Millisecond
)

// outcome is what became of a claim. Exactly one is recorded for each claim.
type outcome interface {
	book(ctx context.Context, w *Worker, c ledger.Claimed) error
}

// done: the document has a summary, which this worker made or found.
type done struct {
	read    ledger.Read
	summary ledger.Summary
}

func (o done) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.ledger.Done(ctx, w.id, c, o.read, o.summary)
}

// failed: a later attempt may succeed.
type failed struct {
	class   ledger.Class
	message string
	after   time.Duration
}

func (o failed) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.ledger.Failed(ctx, w.id, c, o.class, o.message, o.after)
}

// dead: no retry can help, or none is left.
type dead struct {
	read    ledger.Read
	class   ledger.Class
	message string
	// answers are the names of calls whose answers are unusable. The ledger must forget them,
	// or a retry would get the same answers.
	answers []string
}

func (o dead) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	if err := w.ledger.ForgetAnswers(ctx, o.answers); err != nil {
		return err
	}
	return w.ledger.Dead(ctx, w.id, c, o.read, o.class, o.message)
}

// crashing: the document's reader died.
type crashing struct{ message string }

func (o crashing) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.ledger.Crashed(ctx, w.id, c, o.message)
}

// suspected: the endpoint refused the document, and it is not known yet whether it is at fault.
type suspected struct {
	class   ledger.Class
	message string
	after   time.Duration
}

func (o suspected) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.ledger.Refused(ctx, w.id, c, o.class, o.message, o.after)
}

// release: the claim is given back, and no attempt is used.
type release struct{ after time.Duration }

func (o release) book(ctx context.Context, w *Worker, c ledger.Claimed) error {
	return w.ledger.Release(ctx, w.id, c, o.after)
}

// book records an outcome, and reports whether the ledger took it. While the ledger is away it
// retries, because a paid result must not be lost. A stale outcome is refused and only
// counted.
func (w *Worker) book(ctx context.Context, c ledger.Claimed, o outcome) (booked bool) {
	defer w.claims.remove(c)
	if _, again := o.(release); !again {
		w.patience.forget(c.Document)
	}
	// The outcome ends the claim, so it is also written after the calls were cancelled.
	ctx = context.WithoutCancel(ctx)
	err := w.persist(w.calls, "record an outcome", func() error { return o.book(ctx, w, c) })
	switch {
	case err == nil:
		w.count(o)
		w.logOutcome(c, o)
	case errors.Is(err, ledger.ErrStale):
		w.counters.add(1, ledger.CountStale, "")
		w.log.Warn("stale outcome refused: the document was taken over", "doc", c.URI)
	case w.stopOnDiskFull(err): // Run returns the error
	default:
		w.log.Error("outcome not recorded; the claim will lapse and the document is worked on again", "doc", c.URI, "error", err)
	}
	return err == nil
}

// reportDone calls Done with a finished document.
func (w *Worker) reportDone(r *openRun, c ledger.Claimed, o outcome) {
	if d, ok := o.(done); ok && w.config.Done != nil {
		w.config.Done(ledger.Exported{
			Source: r.run.Source, URI: c.URI, ID: ledger.LineID(c.URI, c.Locator), Fields: d.read.Fields, ContentSHA256: d.read.SHA256, Profile: r.run.Profile, Run: r.run.Name, Summary: d.summary,
		})
	}
}

// persist calls do, which uses the ledger, until the ledger has answered, with growing pauses.
// It returns the last error when ctx ends, or when a full disk stops the worker. step names
// the work in the log.
func (w *Worker) persist(ctx context.Context, step string, do func() error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := do()
		if err == nil || refused(err) || ctx.Err() != nil || w.stopOnDiskFull(err) {
			return err
		}
		// All documents in work meet the outage; one message every 5 s is enough.
		w.outageLog.Do(func() { w.log.Warn("ledger unavailable, retrying", "step", step, "error", err) })
		_ = loop.Sleep(ctx, pause) // the next turn checks ctx
	}
}

// refused reports whether err is an answer of the ledger, which a retry would not change.
func refused(err error) bool {
	for _, refusal := range []error{ledger.ErrNotFound, ledger.ErrStale, ledger.ErrBusy, ledger.ErrReserved, ledger.ErrBudget, ledger.ErrUnpriced} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// count counts a document that is done or dead. Other outcomes do not end a document.
func (w *Worker) count(o outcome) {
	switch o.(type) {
	case done:
		w.counters.add(1, ledger.CountDocuments, ledger.LabelDone)
	case dead:
		w.counters.add(1, ledger.CountDocuments, ledger.LabelDead)
	}
}

// logOutcome logs an outcome that the ledger took.
func (w *Worker) logOutcome(c ledger.Claimed, o outcome) {
	switch o := o.(type) {
	case done:
		w.log.Debug("document done", "doc", c.URI, "tokens_in", o.summary.TokensIn, "tokens_out", o.summary.TokensOut)
	case failed:
		w.log.Info("document failed, will be retried", "doc", c.URI, "class", o.class, "message", o.message, "attempt", c.Attempts+1, "after", o.after)
	case dead:
		w.log.Warn("document dead-lettered", "doc", c.URI, "class", o.class, "message", o.message, "attempt", c.Attempts+1)
	case crashing:
		w.log.Warn("document reader died", "doc", c.URI, "message", o.message, "crashes", c.Crashes+1)
	case suspected:
		w.log.Info("document refused, others show whether it is at fault", "doc", c.URI, "class", o.class, "message", o.message, "refusals", c.Refusals+1, "after", o.after)
	case release:
		w.log.Debug("document released", "doc", c.URI, "after", o.after)
	}
}

// classify decides the outcome of an error. It is the only place that does.
func (w *Worker) classify(ctx context.Context, r *openRun, c ledger.Claimed, read ledger.Read, err error) outcome {
	var (
		input  *source.InputError
		short  *summarize.ShortError
		crash  *extract.CrashError
		stuck  *extract.StuckError
		output *summarize.OutputError
		waited *llm.WaitError
		call   *llm.Error
		day    *ledger.DayBudgetError
	)
	switch {
	case w.calls.Err() != nil, errors.Is(err, errStopped), w.config.StopOnDiskFull && ledger.IsFull(err):
		return release{}
	case errors.As(err, &input):
		return dead{read: read, class: ledger.ClassInput, message: input.Reason}
	case errors.Is(err, summarize.ErrNoText):
		return dead{read: read, class: ledger.ClassInput, message: "empty document: it has no text"}
	case errors.As(err, &short):
		return dead{read: read, class: ledger.ClassInput, message: short.Error() + ": lower --min-words, then `gistmill dead retry --class input`"}
	case errors.Is(err, source.ErrGone):
		return dead{read: read, class: ledger.ClassInputGone, message: "the document is gone from its source"}
	case errors.As(err, &crash):
		return w.crashed(c, crash.Reason)
	case errors.As(err, &stuck):
		w.log.Error("reader stuck in this process: from now on child processes read, which is slower; restart the worker when convenient",
			"doc", c.URI, "stuck", w.config.Reader.Stuck())
		return w.crashed(c, stuck.Error())
	case errors.As(err, &output):
		return dead{read: read, class: ledger.Class(output.Class), message: output.Message, answers: output.Requests}
	case errors.Is(err, ledger.ErrBusy):
		return release{after: busyWait}
	case errors.Is(err, ledger.ErrReserved):
		return release{after: reservedWait}
	case errors.As(err, &day):
		w.stopRun(ctx, r, ledger.Stop{Reason: ledger.Budget, Ends: true, After: time.Until(day.Ends),
			Message: fmt.Sprintf("the budget of the day (%s, all runs) is reached; the day ends at %s: `gistmill resume %s` then, or a higher --budget-usd-day now, goes on",
				text.USD(float64(*w.config.DayCapNano)/1e9), day.Ends.Format("2006-01-02 15:04 MST"), r.run.Name)})
		return release{}
	case errors.Is(err, ledger.ErrBudget):
		w.stopRun(ctx, r, ledger.Stop{Reason: ledger.Budget, Message: "the budget of the run is reached; `gistmill resume " + r.run.Name + " --budget-usd X` (or --budget-tokens N) raises it"})
		return release{}
	case errors.Is(err, ledger.ErrUnpriced):
		w.cannotWork(r, byCall, halted((&llm.UnpricedError{Tier: r.tier(), Models: w.config.Prices.Unknown(r.tier(), w.config.Endpoints.Models(r.profile.Model)...)}).Error()))
		return release{}
	case errors.As(err, &waited) && (w.isDraining() || ctx.Err() != nil || r.stopped.isSet()):
		return release{}
	case errors.As(err, &call):
		return w.classifyCall(ctx, r, c, read, call)
	default:
		return w.retry(c, read, ledger.ClassTransient, err.Error())
	}
}

func (w *Worker) classifyCall(ctx context.Context, r *openRun, c ledger.Claimed, read ledger.Read, e *llm.Error) outcome {
	if e.Doubtful {
		return w.refused(ctx, r, c, read, e)
	}
	switch e.Class {
	case llm.Unavailable:
		if e.Code == llm.CodeSilent {
			w.giveUp(r, e)
			return release{}
		}
		return w.notNow(e)
	case llm.RateLimited, llm.Capacity:
		return w.notNow(e)
	case llm.Overloaded:
		return w.busy(c, read, e)
	case llm.Quota, llm.Halted:
		if w.waitsFor(e) {
			return w.notNow(e)
		}
		w.cannotGoOn(r, e)
		return release{}
	case llm.Refused:
		return dead{read: read, class: ledger.ClassRefused, message: e.Error()}
	case llm.TooLong:
		return dead{read: read, class: ledger.ClassOutputTooLong, message: e.Error()}
	case llm.ContextLength:
		return dead{read: read, class: ledger.ClassInput, message: e.Error()}
	case llm.BadRequest:
		return dead{read: read, class: ledger.ClassBadRequest, message: e.Error()}
	default:
		return w.retry(c, read, ledger.Class(e.Class), e.Error())
	}
}

// notNow gives a document back until its call may be made: the document is not at fault.
func (w *Worker) notNow(e *llm.Error) outcome {
	after, now := max(e.RetryAfter, time.Until(e.Until), time.Second), time.Now()
	wait := ledger.Wait{Reason: ledger.WaitRateLimit, Endpoint: e.Endpoint, Until: now.Add(after)}
	switch {
	case e.Class == llm.Capacity:
		wait.Reason, wait.Cause = ledger.WaitCapacity, e.Error()
	case e.Class == llm.Unavailable:
		wait.Reason, wait.Since, wait.Cause = ledger.WaitEndpoint, e.Since, cmp.Or(e.Cause, e.Error())
	case e.Quota != "":
		wait.Reason, wait.Cause = ledger.WaitQuota, e.Error()
	case e.Status != 0:
		wait.Cause = e.Error()
	}
	w.waits.released(wait, now)
	return release{after: after}
}

// retry returns failed while the document has an attempt left, and dead after the last one.
func (w *Worker) retry(c ledger.Claimed, read ledger.Read, class ledger.Class, message string) outcome {
	tries := c.Tries + 1
	if w.config.Retry.Exhausted(tries) {
		attempts := "1 attempt: "
		if tries > 1 {
			attempts = fmt.Sprintf("%d attempts, the last: ", tries)
		}
		return dead{read: read, class: ledger.ClassExhausted, message: attempts + message}
	}
	return failed{class: class, message: message, after: w.config.Retry.Delay(tries)}
}

// crashed returns the outcome of a document whose reader died: dead at the third time.
func (w *Worker) crashed(c ledger.Claimed, message string) outcome {
	if c.Crashes+1 >= crashLimit {
		return dead{class: ledger.ClassCrashing, message: fmt.Sprintf("its reader died %d times: %s", c.Crashes+1, message)}
	}
	return crashing{message}
}

package worker

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

const (
	// freeTimeouts is how many timeouts of a document in the endpoint's queue cost no attempt. Each
	// may be charged.
	freeTimeouts = 3
	// busyShownAfter is the time without an answer after which an overload is shown as a wait.
	busyShownAfter = 5 * time.Second
)

// patience is how long documents have waited for an endpoint that has too much to do. It is safe
// for concurrent use.
type patience struct {
	mu     sync.Mutex
	waited map[ledger.DocumentID]waited
	row    int64     // overloads since the last answer
	answer time.Time // the last one
}

type waited struct {
	since    time.Time
	timeouts int
}

func newPatience() *patience {
	return &patience{waited: map[ledger.DocumentID]waited{}, answer: time.Now()}
}

// busy notes that a document met an overload. It returns how often in a row documents did, and
// whether this one may go on without using an attempt.
func (p *patience) busy(d ledger.DocumentID, timeout bool, limit time.Duration, now time.Time) (row int64, free bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w, known := p.waited[d]
	if !known {
		w.since = now
	}
	if timeout {
		w.timeouts++
	}
	p.waited[d] = w
	p.row++
	return p.row, now.Sub(w.since) < limit && w.timeouts <= freeTimeouts
}

// answered notes an answer.
func (p *patience) answered(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.row, p.answer = 0, now
}

// quiet returns the time since the last answer.
func (p *patience) quiet(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.answer)
}

// forget forgets a document whose outcome is known.
func (p *patience) forget(d ledger.DocumentID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waited, d)
}

// busy gives a document back for a moment, because the endpoint has too much to do. The wait grows
// with the number of overloads in a row. After max-wait, or some timeouts, an attempt is used.
func (w *Worker) busy(c ledger.Claimed, read ledger.Read, e *llm.Error) outcome {
	now := time.Now()
	row, free := w.patience.busy(c.Document, e.Code == "timeout", w.config.MaxWait, now)
	if !free {
		return w.retry(c, read, ledger.ClassTransient, e.Error())
	}
	after := max(e.RetryAfter, w.config.Retry.Delay(row))
	if quiet := w.patience.quiet(now); quiet >= busyShownAfter {
		w.waits.released(ledger.Wait{Reason: ledger.WaitEndpoint, Endpoint: e.Endpoint, Since: now.Add(-quiet), Until: now.Add(after), Cause: e.Error()}, now)
	}
	return release{after: after}
}

// Outages keeps, for all processes, which endpoints have given no answer for max-wait. Its methods
// are safe for concurrent use.
type Outages interface {
	// Lost notes that a model has given no answer since then.
	Lost(ctx context.Context, model string, since time.Time, cause string) error
	// Found notes that a model answers.
	Found(ctx context.Context, model string) error
}

// giveUp is called when the endpoint has given no answer for max-wait. The caller of the command
// waits for its end, so the run stops. Otherwise the run stays as it is and the worker ends: the
// demand asks for one now and then, which makes one call.
func (w *Worker) giveUp(r *openRun, e *llm.Error) {
	if w.config.StopsSilent {
		w.stopRun(context.WithoutCancel(w.calls), r, halted(e.Message+"; the same command goes on when it answers (--max-wait)"))
		return
	}
	if w.config.Outages != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.calls), renewEvery)
		defer cancel()
		if err := w.config.Outages.Lost(ctx, r.profile.Model, e.Since, cmp.Or(e.Cause, e.Message)); err != nil {
			w.log.Warn("cannot note that the endpoint gives no answer", "error", err)
		}
	}
	if w.config.IdleExit > 0 {
		w.log.Warn("endpoint gives no answer, this worker ends", "message", e.Message)
		select {
		case w.leave <- reasonNoAnswer:
		default:
		}
		return
	}
	w.end(fmt.Errorf("%s; start the worker again when it answers (--max-wait)", e.Message))
}

// answered notes an answer of a model.
func (w *Worker) answered(ctx context.Context, model string) {
	quiet := w.patience.quiet(time.Now())
	w.patience.answered(time.Now())
	if w.config.Outages == nil {
		return
	}
	found := func() {
		ctx, cancel := context.WithTimeout(ctx, renewEvery)
		defer cancel()
		if err := w.config.Outages.Found(ctx, model); err != nil {
			w.log.Debug("cannot note that the endpoint answers", "error", err)
		}
	}
	w.answers.Do(found)
	if quiet >= time.Minute {
		found()
	}
}

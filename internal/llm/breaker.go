package llm

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// breakerFailures is how many calls in a row fail, none succeeding between, before the endpoint counts as down.
	breakerFailures = 5
	// breakerQuiet is how long nothing must have succeeded by then: where many calls are in flight, a busy endpoint that fails now
	// and then has such a row too, within moments.
	breakerQuiet = 2 * time.Second
	// breakerDelay is the time until the first probe. It doubles with each probe that fails.
	breakerDelay    = time.Second
	breakerDelayCap = 30 * time.Second
)

// codeCircuitOpen is the code of calls that were not made, or not counted, because the endpoint is down.
const codeCircuitOpen = "circuit_open"

// codeUnreachable is the code of calls that reached nobody.
const codeUnreachable = "unreachable"

// A breaker keeps calls from an endpoint that is down: it opens after a row of failures without an answer, lets one probe
// through after a while (half open), and closes when anything is answered.
//
// It is told apart what is certain and what may be a document's fault. That nothing listens, or that a gateway says 503, is
// the endpoint's; a timeout or a 500 can be a document's, so of the same request it counts once in a row: a few documents that
// always fail, left over at the end of a run, are no outage.
//
// failsafe-go's circuit breaker was looked at: it knows neither a probe that is given up, nor to whom a late failure
// belongs, nor a row that is bounded in count and in time.
type breaker struct {
	log *slog.Logger

	mu        sync.Mutex
	failures  int             // in a row, while closed
	failed    map[string]bool // names of the requests in that row
	succeeded time.Time       // the last time
	openings  int             // in a row; 0: closed
	opened    time.Time       // the first of them
	until     time.Time       // when the next probe may go
	probing   bool
	cause     string
	changed   chan struct{} // closed when a waiter should look again
}

func newBreaker(log *slog.Logger) *breaker {
	return &breaker{log: log, failed: map[string]bool{}, changed: make(chan struct{})}
}

// A pass is the right to call. Exactly one of ended and abandoned is called.
type pass struct {
	breaker *breaker
	probe   bool
	waited  time.Duration
}

// enter waits until a call may be made. It returns an *Error of class RateLimited, code circuit_open, at once, when that would
// take longer than limit, and ctx's error when ctx ends first.
func (b *breaker) enter(ctx context.Context, limit time.Duration) (pass, error) {
	start := time.Now()
	for {
		p, left, changed, err := b.try(limit - time.Since(start))
		p.waited = time.Since(start)
		if err != nil || left == 0 {
			return p, err
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return pass{}, ctx.Err()
		case <-timer.C:
		case <-changed:
			timer.Stop()
		}
	}
}

// try gives a pass, or says how long to wait at the most before the next try, or refuses.
func (b *breaker) try(limit time.Duration) (p pass, wait time.Duration, changed <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := time.Until(b.until)
	switch {
	case b.openings == 0:
		return pass{breaker: b}, 0, nil, nil
	case left <= 0 && !b.probing:
		b.probing = true
		return pass{breaker: b, probe: true}, 0, nil, nil
	case limit <= 0 || !b.probing && left > limit:
		return pass{}, 0, nil, b.refusal()
	case b.probing:
		left = limit // the probe's end is not known
	}
	return pass{}, left, b.changed, nil
}

// down is the refusal of a call that would have to wait, else nil.
func (b *breaker) down() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openings == 0 || !b.probing && !time.Now().Before(b.until) {
		return nil
	}
	return b.refusal()
}

// left is about how long the endpoint is left alone. The lock is held.
func (b *breaker) left() time.Duration {
	if b.probing {
		return delayOf(b.openings)
	}
	return max(time.Until(b.until), 0)
}

func delayOf(openings int) time.Duration {
	return min(breakerDelay<<min(openings-1, 10), breakerDelayCap)
}

// refusal is what a call gets that is not made. The lock is held.
func (b *breaker) refusal() *Error {
	return &Error{Class: RateLimited, Code: codeCircuitOpen, Message: "the endpoint is down, so no call is made: " + b.cause, RetryAfter: b.left()}
}

// abandoned gives a pass back without a call, or with one that the caller gave up.
func (p pass) abandoned() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.probe {
		b.probing = false
		b.wake()
	}
}

// answered reports that the endpoint is there, whatever it said.
func (p pass) answered() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	b.succeeded, b.failures = time.Now(), 0
	clear(b.failed)
	if b.openings == 0 {
		return
	}
	b.log.Warn("the endpoint answers again", slog.Duration("down_for", time.Since(b.opened).Round(time.Millisecond)))
	b.openings, b.probing = 0, false
	b.wake()
}

// failed reports an outage. It returns the error for the caller: failed itself, which costs the document an attempt, or, where
// that is not the document's fault, class RateLimited.
func (p pass) failed(request string, failed *Error) *Error {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	certain := failed.certainOutage()
	switch {
	case p.probe:
		b.probing = false
		b.open(failed)
		if !certain {
			return failed // a document that the endpoint can't do must come to an end
		}
	case b.openings > 0: // sent before it opened
	case !certain && b.failed[request]:
		return failed
	default:
		b.failed[request] = true
		if b.failures++; b.failures < breakerFailures || time.Since(b.succeeded) < breakerQuiet {
			return failed
		}
		b.opened = time.Now()
		b.open(failed)
		b.log.Warn("the endpoint does not answer; calls wait until it does", slog.String("error", failed.Error()))
	}
	refused := b.refusal()
	refused.Usage, refused.MayBeBilled = failed.Usage, failed.MayBeBilled
	return refused
}

// open begins the wait for the next probe. The lock is held.
func (b *breaker) open(failed *Error) {
	b.openings++
	b.until = time.Now().Add(delayOf(b.openings))
	b.cause = failed.Error()
	b.wake()
}

// wake lets all waiters look again. The lock is held.
func (b *breaker) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// outage tells failures without an answer from those with one, which show that the endpoint is there.
func (e *Error) outage() bool {
	if e.Class != Transient {
		return false
	}
	switch e.Code {
	case "generation_failed", "answer_too_large":
		return false
	}
	return e.Status < 300 || e.Status >= 500
}

// certainOutage tells what no document can be the reason of. Cloudflare's 521 to 523 say that nothing listens behind it,
// Anthropic's 529 that it is overloaded.
func (e *Error) certainOutage() bool {
	switch e.Status {
	case http.StatusServiceUnavailable, 521, 522, 523, 529:
		return true
	}
	return e.Code == codeUnreachable
}

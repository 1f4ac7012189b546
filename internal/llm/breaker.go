package llm

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// breakerFailures is the number of consecutive failures after which the endpoint counts as down.
	breakerFailures = 5
	// breakerQuiet is the time without a success that is required as well. With many calls in
	// flight, a busy endpoint that fails now and then has a row of failures within moments.
	breakerQuiet = 2 * time.Second
	// breakerDelay is the time until the first probe. It doubles with each failed probe.
	breakerDelay    = time.Second
	breakerDelayCap = 30 * time.Second
)

// codeCircuitOpen is the code of calls that were not made because the endpoint is down, or that
// failed with it and cost the document no attempt.
const codeCircuitOpen = "circuit_open"

// codeUnreachable is the code of calls that reached no server.
const codeUnreachable = "unreachable"

// codeTimeout is the code of calls that were not answered in time.
const codeTimeout = "timeout"

// maxStretch bounds how often the timeout of a probe is doubled.
const maxStretch = 3

// breaker is a circuit breaker: it stops calls to an endpoint that is down. It opens after a row
// of failures without an answer, lets one probe through after a delay (half open), and closes as
// soon as the endpoint answers anything.
//
// Failures that only the endpoint can cause (connection refused, 503) always count. Failures that
// a document may cause (timeout, 500) count once per request, so a few documents that always
// fail, at the end of a run, do not look like an outage.
//
// The first timeout of an endpoint that has never answered opens it at once, unless there is a
// fallback: the endpoint may be loading a model, and give that up when the caller leaves, as Ollama
// does (ollama issue 8006). The next call is a probe then. Each has twice the time of the one
// before, up to eight times the timeout.
//
// failsafe-go's circuit breaker was considered. It has no probe that the caller can give up, it
// takes a late failure for that of a probe, and it cannot bound a row both in count and in time.
type breaker struct {
	endpoint string // host, for people
	fallback bool   // callers have one
	log      *slog.Logger

	mu        sync.Mutex
	failures  int             // consecutive, while closed
	failed    map[string]bool // names of the requests among them
	succeeded time.Time       // last success
	openings  int             // consecutive; 0: closed
	opened    time.Time       // first of these openings
	until     time.Time       // earliest time of the next probe
	probing   bool            // a probe is in flight
	stretch   int             // how often the timeout of the next probe is doubled
	cause     string          // the failure that opened the breaker last
	changed   chan struct{}   // closed when waiting calls should check again
}

func newBreaker(endpoint string, log *slog.Logger) *breaker {
	return &breaker{endpoint: endpoint, log: log.With(slog.String("endpoint", endpoint)), failed: map[string]bool{}, changed: make(chan struct{})}
}

// pass is the permission to make one call. Exactly one of answered, failed and abandoned is
// called.
type pass struct {
	breaker *breaker
	probe   bool
	stretch int // how often the timeout of the call is doubled
	waited  time.Duration
}

// enter waits until a call may be made. If that would take longer than limit, it returns at once,
// with an *Error of class Unavailable and code circuit_open. If ctx ends first, it returns ctx's
// error.
//
// report is called at each turn of a wait, and with nil at its end.
func (b *breaker) enter(ctx context.Context, limit time.Duration, report func(*Wait)) (pass, error) {
	start, waits := time.Now(), false
	defer func() {
		if waits {
			report(nil)
		}
	}()
	for {
		p, left, changed, err := b.try(limit - time.Since(start))
		p.waited = time.Since(start)
		if err != nil || left == 0 {
			return p, err
		}
		waits = true
		report(b.wait())
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

// try returns a pass, or the longest wait before the next try, or a refusal.
func (b *breaker) try(limit time.Duration) (p pass, wait time.Duration, changed <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := time.Until(b.until)
	switch {
	case b.openings == 0:
		return pass{breaker: b}, 0, nil, nil
	case left <= 0 && !b.probing:
		b.probing = true
		return pass{breaker: b, probe: true, stretch: b.stretch}, 0, nil, nil
	case limit <= 0 || !b.probing && left > limit:
		return pass{}, 0, nil, b.refusal()
	case b.probing:
		left = limit // the end of the probe is unknown
	}
	return pass{}, left, b.changed, nil
}

// wait describes the wait of a call.
func (b *breaker) wait() *Wait {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &Wait{Kind: WaitEndpoint, Endpoint: b.endpoint, Since: b.opened, Cause: b.cause}
	if !b.probing {
		w.Until = b.until
	}
	return w
}

// down returns the refusal if a call would have to wait, else nil.
func (b *breaker) down() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openings == 0 || !b.probing && !time.Now().Before(b.until) {
		return nil
	}
	return b.refusal()
}

// left estimates the time until the next probe. The caller holds the lock.
func (b *breaker) left() time.Duration {
	if b.probing {
		return delayOf(b.openings)
	}
	return max(time.Until(b.until), 0)
}

// delayOf returns the delay of the next probe.
func delayOf(openings int) time.Duration {
	return min(breakerDelay<<min(openings-1, 10), breakerDelayCap)
}

// refusal returns the error of a call that is not made. The caller holds the lock.
func (b *breaker) refusal() *Error {
	return &Error{Class: Unavailable, Code: codeCircuitOpen, Message: "the endpoint is down, so no call is made: " + b.cause,
		Endpoint: b.endpoint, Since: b.opened, Cause: b.cause, RetryAfter: b.left(), NotSent: true}
}

// abandoned returns a pass whose call was not made, or was given up by the caller.
func (p pass) abandoned() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.probe {
		b.probing = false
		b.wake()
	}
}

// answered reports that the endpoint gave any answer.
func (p pass) answered() {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	b.succeeded, b.failures = time.Now(), 0
	clear(b.failed)
	if b.openings == 0 {
		return
	}
	b.log.Warn("endpoint answers again", slog.Duration("down_for", time.Since(b.opened).Round(time.Millisecond)))
	b.openings, b.probing, b.stretch = 0, false, 0
	b.wake()
}

// suspect opens the breaker because the endpoint gave no answer since then. The first call is a
// probe.
func (b *breaker) suspect(since time.Time, cause string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.openings, b.opened, b.cause = 1, since, cause
}

// failed reports a failure without an answer. It returns the error for the caller: failed itself,
// which costs the document an attempt unless it is of class Unavailable, or class Unavailable if
// the document is not at fault.
func (p pass) failed(request string, failed *Error) *Error {
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	certain := failed.certainOutage()
	unanswered := failed.Code == codeTimeout && b.succeeded.IsZero()
	if unanswered && p.probe {
		b.stretch = min(b.stretch+1, maxStretch)
	}
	switch {
	case p.probe:
		b.probing = false
		b.open(failed)
		if !certain {
			return failed // a document that always fails must use up its attempts
		}
	case b.openings > 0: // the call was sent before the breaker opened
	case unanswered && !b.fallback:
		b.opened = time.Now()
		b.open(failed)
		b.until, b.stretch = b.opened, 1
		b.log.Warn("endpoint has not answered in time, one call is made at a time until it answers", slog.String("error", failed.Error()))
		return failed
	case !certain && b.failed[request]:
		return failed
	default:
		b.failed[request] = true
		if b.failures++; b.failures < breakerFailures || time.Since(b.succeeded) < breakerQuiet {
			return failed
		}
		b.opened = time.Now()
		b.open(failed)
		b.log.Warn("endpoint does not answer, calls wait until it does", slog.String("error", failed.Error()))
	}
	refused := b.refusal()
	refused.Usage, refused.MayBeBilled, refused.NotSent = failed.Usage, failed.MayBeBilled, failed.NotSent
	return refused
}

// open begins the delay before the next probe. The caller holds the lock.
func (b *breaker) open(failed *Error) {
	b.openings++
	b.until = time.Now().Add(delayOf(b.openings))
	b.cause = failed.Error()
	b.wake()
}

// wake makes all waiting calls check again. The caller holds the lock.
func (b *breaker) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// outage reports whether the failure came without an answer. An answer shows that the endpoint is
// up.
func (e *Error) outage() bool {
	if e.Class == Unavailable || e.Class == Overloaded {
		return true
	}
	if e.Class != Transient {
		return false
	}
	switch e.Code {
	case "generation_failed", codeTooLarge, codeNoAnswer, codeWhiteSpace:
		return false
	}
	return e.Status < 300 || e.Status >= 500
}

// certainOutage reports whether no document can have caused the failure. Cloudflare sends 521 to
// 523 if the server behind it is unreachable, Anthropic sends 529 if it is overloaded.
func (e *Error) certainOutage() bool {
	switch e.Status {
	case http.StatusServiceUnavailable, 521, 522, 523, 529:
		return true
	}
	return e.Code == codeUnreachable || e.Class == Overloaded && e.Code != codeTimeout
}

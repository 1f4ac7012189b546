package llm

import (
	"context"
	"sync"
	"time"
)

// Pauses after a 429 that names no time.
const (
	pauseBase = time.Second
	pauseCap  = 30 * time.Second
	pauseMin  = 50 * time.Millisecond // full jitter can give 0, and a 429 at once again
)

// A gate holds back every call of this process until the moment that a 429
// named, or for an exponential pause with full jitter where it named none.
//
// One refusal by the endpoint arrives as many 429s, one for each call in
// flight. Only a call that was sent after the pause before had ended says
// something new, so only such a call lengthens the exponential pause; an
// explicit Retry-After always counts, and the latest moment named wins.
type gate struct {
	jitter func(time.Duration) time.Duration // uniform in [0, d)

	mu     sync.Mutex
	until  time.Time
	streak int // refusals in a row, each after a pause, without a success between
}

// wait returns when the gate is open and how long that took. It returns an
// *Error of class RateLimited at once when it would take longer than limit.
func (g *gate) wait(ctx context.Context, limit time.Duration) (time.Duration, error) {
	start := time.Now()
	for {
		g.mu.Lock()
		left := time.Until(g.until)
		g.mu.Unlock()
		waited := time.Since(start)
		if left <= 0 {
			return waited, nil
		}
		if waited+left > limit {
			return waited, &Error{
				Class:      RateLimited,
				Code:       "paused",
				Message:    "the endpoint's rate limit is reached",
				RetryAfter: left,
			}
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return time.Since(start), ctx.Err()
		case <-timer.C:
			// Another 429 may have moved the moment meanwhile.
		}
	}
}

// pause closes the gate after a 429 to a call that was sent at the given time,
// and returns how long from now it stays closed. retryAfter is 0 when the
// endpoint named no time.
func (g *gate) pause(sent time.Time, retryAfter time.Duration) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	d := max(retryAfter, pauseMin)
	if fresh := !sent.Before(g.until); fresh {
		g.streak++
		if retryAfter == 0 || g.streak > 1 {
			// A Retry-After that is kept and refused again was too short, so even
			// then the pauses grow; otherwise a server that always says "20 ms"
			// would be asked fifty times a second.
			ceiling := min(pauseCap, pauseBase<<min(g.streak-1, 10))
			d = max(d, g.jitter(ceiling))
		}
	}
	if until := now.Add(d); until.After(g.until) {
		g.until = until
	}
	return g.until.Sub(now)
}

// passed reports a success, which ends a row of refusals.
func (g *gate) passed() {
	g.mu.Lock()
	g.streak = 0
	g.mu.Unlock()
}

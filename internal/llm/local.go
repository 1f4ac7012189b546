package llm

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// NewLocalLimiter returns a limiter for this process alone: a pause for all
// calls after a 429, and a window of calls in flight that starts at
// maxInFlight and follows 429s. It knows no limits in advance and counts no
// tokens.
func NewLocalLimiter(maxInFlight int) Limiter {
	return &localLimiter{
		gate:   gate{jitter: func(d time.Duration) time.Duration { return rand.N(d) }},
		window: newWindow(max(1, maxInFlight)),
	}
}

type localLimiter struct {
	gate   gate
	window *window
}

func (l *localLimiter) Acquire(ctx context.Context, call Call) (Permit, error) {
	if err := l.window.acquire(ctx); err != nil {
		return nil, err
	}
	// The gate comes second: while calls queue for the window, a 429 to one of
	// those in flight must hold back the rest.
	waited, err := l.gate.wait(ctx, call.MaxWait)
	if err != nil {
		l.window.leave()
		return nil, err
	}
	return &localPermit{limiter: l, waited: waited, sent: time.Now()}, nil
}

type localPermit struct {
	limiter *localLimiter
	waited  time.Duration
	sent    time.Time
	once    sync.Once
}

func (p *localPermit) Waited() time.Duration { return p.waited }

func (p *localPermit) Done(o Outcome) {
	p.once.Do(func() {
		var failed *Error
		switch {
		case o.Err == nil:
			p.limiter.gate.passed()
			p.limiter.window.succeeded()
		case errors.As(o.Err, &failed) && failed.Class == RateLimited:
			p.limiter.gate.pause(p.sent, failed.RetryAfter)
			p.limiter.window.refused(p.sent)
		default:
			p.limiter.window.leave()
		}
	})
}

package llm

import (
	"context"
	"time"
)

// A WaitKind is the kind of thing that a call waits for before it is sent.
type WaitKind string

// The kinds of waits. The worker's ledger has the same names for them.
const (
	WaitRateLimit WaitKind = "rate_limit" // the endpoint's rate limit
	WaitEndpoint  WaitKind = "endpoint"   // an endpoint that is down
	WaitCapacity  WaitKind = "capacity"   // an endpoint without capacity for the flex tier
	WaitRedis     WaitKind = "redis"      // the limiter's Redis, which cannot be reached
)

// A Wait describes what a call waits for.
type Wait struct {
	Kind     WaitKind
	Endpoint string    // host, and port if any
	Since    time.Time // when the endpoint went down; zero if it is not down
	Until    time.Time // when the next call may be sent, or the next probe; zero if unknown
	Cause    string    // the failure of an endpoint that is down
}

// Waits are how a call waits. The zero value waits until the call's context ends.
type Waits struct {
	// Context, if not nil, ends waits, but no call in flight. It must end when the call's own
	// context ends.
	Context context.Context //nolint:containedctx // the second context of a call
	// Report, if not nil, is called when the call begins to wait or the wait changes, and with nil
	// when it has ended. It is called from the goroutine of the call.
	Report func(*Wait)
}

// withDefaults returns waits without nil fields, for a call with ctx.
func (w Waits) withDefaults(ctx context.Context) Waits {
	if w.Context == nil {
		w.Context = ctx
	}
	if w.Report == nil {
		w.Report = func(*Wait) {}
	}
	return w
}

package llm

import (
	"context"
	"net/http"
	"time"
)

// A Limiter admits calls to an endpoint. Implementations are safe for
// concurrent use. See package limiter for the one that gistmill uses.
type Limiter interface {
	// Acquire waits until the call may start. It returns ctx's error if ctx ends first. If the wait
	// would be longer than Call.CallWait, it returns at once, with an *Error of class RateLimited
	// whose RetryAfter is the wait.
	Acquire(ctx context.Context, call Call) (Permit, error)
}

// A Call is what a limiter can know about a request before it is sent.
type Call struct {
	Model string
	// InputTokens counts the prompt. Counting costs CPU time, so a limiter calls it only if tokens
	// are limited.
	InputTokens func() int
	// OutputTokens is the cap that the provider charges at admission.
	OutputTokens int
	// Timeout is how long the call may take, and Tier the service tier that it asks for. At [TierFlex]
	// a slow answer shows no overload.
	Timeout time.Duration
	Tier    Tier
	// CallWait is how long the call may wait.
	CallWait time.Duration
	// Report, if not nil, is called when the call begins to wait, and when the wait changes. The
	// client adds the endpoint.
	Report func(Wait)
}

// A Permit is the right to send one request.
type Permit interface {
	// Waited returns how long Acquire waited for the limit.
	Waited() time.Duration
	// Done reports how the request ended. It is called exactly once. After an outcome of class
	// RateLimited the limiter delays the next Acquire; the client sends its request again at once. An
	// outcome of class Capacity says nothing about limits.
	Done(Outcome)
}

// An Outcome is how one HTTP request ended. Limiters learn from it.
type Outcome struct {
	// Err is nil after an answer, also after one that was cut at the output limit. It is the error
	// of the caller's context if the caller gave up.
	Err     error
	Usage   Usage       // zero if the endpoint reported none
	Header  http.Header // of the response; nil without a response
	Latency time.Duration
}

// unlimited admits every call at once.
type unlimited struct{}

func (unlimited) Acquire(context.Context, Call) (Permit, error) { return unlimited{}, nil }
func (unlimited) Waited() time.Duration                         { return 0 }
func (unlimited) Done(Outcome)                                  {}

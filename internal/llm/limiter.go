package llm

import (
	"context"
	"net/http"
	"time"
)

// A Limiter admits calls to an endpoint. Implementations are safe for
// concurrent use. See package limiter for the one that gistmill uses.
type Limiter interface {
	// Acquire waits until the call may start. It returns ctx's error when ctx
	// ends first, and an *Error of class RateLimited with RetryAfter, at once,
	// when the wait would be longer than Call.MaxWait.
	Acquire(ctx context.Context, call Call) (Permit, error)
}

// A Call is what a limiter may want to know about a request before it is sent.
type Call struct {
	Model string
	// InputTokens counts the prompt. It costs CPU: a limiter without a token
	// limit does not ask.
	InputTokens func() int
	// OutputTokens is the cap that the provider charges at admission.
	OutputTokens int
	// MaxWait is how long the caller is ready to wait for rate capacity.
	MaxWait time.Duration
}

// A Permit is the right to send one request.
type Permit interface {
	// Waited is how long Acquire waited for rate capacity.
	Waited() time.Duration
	// Done reports how the request ended. It is called exactly once. After an
	// outcome of class RateLimited the limiter holds back the next Acquire for
	// a while: the client asks again at once.
	Done(Outcome)
}

// An Outcome is the end of one HTTP request, as a limiter learns from it.
type Outcome struct {
	// Err is nil after an answer, also after one cut at the output limit. It is
	// the caller's context error when the call was abandoned.
	Err     error
	Usage   Usage       // zero when the endpoint reported none
	Header  http.Header // of the response; nil when there was none
	Latency time.Duration
}

// unlimited admits every call at once.
type unlimited struct{}

func (unlimited) Acquire(context.Context, Call) (Permit, error) { return unlimited{}, nil }
func (unlimited) Waited() time.Duration                         { return 0 }
func (unlimited) Done(Outcome)                                  {}

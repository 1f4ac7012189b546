package llm

import (
	"context"
	"errors"
	"time"
)

// An Observer observes every HTTP call of a client. Implementations are safe for concurrent use.
// They never get a prompt, an answer or a key.
type Observer interface {
	// Begin is called before a call is sent. It returns the context of the call and a function that
	// is called once, when the call has ended.
	Begin(ctx context.Context, c CallBegin) (context.Context, func(CallEnd))
}

// CallBegin describes a call before it is sent.
type CallBegin struct {
	Endpoint        string // host, and port if any
	Azure           bool
	Model           string
	MaxOutputTokens int // 0: no cap
	Temperature     float64
	Waited          time.Duration // for the rate limit
}

// CallEnd describes how a call ended.
type CallEnd struct {
	Class        string // ClassOK, ClassGivenUp, or the class of the failure
	Status       int    // HTTP status of a failure; 0 without a response
	Model        string // as the endpoint names it
	FinishReason string
	Usage        Usage // as reported
	NotSent      bool  // no request was sent: the call does not count
}

// Ends of a call that are no failure of a [Class].
const (
	ClassOK      = "ok"
	ClassGivenUp = "given_up" // by its caller
)

// ClassOf returns ClassOK, the class of a failure, or ClassGivenUp for the error of a context.
func ClassOf(err error) string {
	var failed *Error
	var waited *WaitError
	switch {
	case err == nil:
		return ClassOK
	case errors.As(err, &waited) && waited.Sent:
		return string(RateLimited)
	case errors.As(err, &failed):
		return string(failed.Class)
	}
	return ClassGivenUp
}

// observe begins the observation of a call. The result ends it.
func (c *Client) observe(ctx context.Context, r Request, waited time.Duration) (context.Context, func(Response, error)) {
	if c.cfg.Observer == nil {
		return ctx, func(Response, error) {}
	}
	ctx, end := c.cfg.Observer.Begin(ctx, CallBegin{
		Endpoint: c.Host(), Azure: c.cfg.APIVersion != "", Model: r.Model, MaxOutputTokens: r.OutputCap(), Temperature: r.Temperature, Waited: waited,
	})
	return ctx, func(resp Response, err error) {
		e := CallEnd{Class: ClassOf(err), Model: resp.Model, FinishReason: resp.FinishReason, Usage: resp.Usage, NotSent: !Sent(err)}
		var failed *Error
		if errors.As(err, &failed) {
			e.Status, e.Usage = failed.Status, failed.Usage
		}
		end(e)
	}
}

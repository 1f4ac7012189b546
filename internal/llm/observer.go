package llm

import (
	"context"
	"errors"
	"time"
)

// An Observer is told of every HTTP call of a client. Implementations are safe for concurrent use, and never see a prompt, an answer or a key.
type Observer interface {
	// Begin is called when a call is about to be sent. It returns the context to make it in, and what is told of its end, once.
	Begin(ctx context.Context, c CallBegin) (context.Context, func(CallEnd))
}

// CallBegin is a call that is about to be sent.
type CallBegin struct {
	Endpoint        string // host, and port if any
	Azure           bool
	Model           string
	MaxOutputTokens int // 0: not capped
	Temperature     float64
	Waited          time.Duration // for the rate limit
}

// CallEnd is how it ended.
type CallEnd struct {
	Class        string // ClassOK, ClassGivenUp, or that of the failure
	Status       int    // of HTTP, of a failure; 0: none came
	Model        string // as the endpoint names it
	FinishReason string
	Usage        Usage // as reported
}

// What a call ended with that is no failure of a Class.
const (
	ClassOK      = "ok"
	ClassGivenUp = "given_up" // by its caller
)

// ClassOf names how a call ended.
func ClassOf(err error) string {
	var failed *Error
	switch {
	case err == nil:
		return ClassOK
	case errors.As(err, &failed):
		return string(failed.Class)
	}
	return ClassGivenUp
}

// observe tells the observer, if there is one.
func (c *Client) observe(ctx context.Context, r Request, waited time.Duration) (context.Context, func(Response, error)) {
	if c.cfg.Observer == nil {
		return ctx, func(Response, error) {}
	}
	ctx, end := c.cfg.Observer.Begin(ctx, CallBegin{
		Endpoint: c.Host(), Azure: c.cfg.APIVersion != "", Model: r.Model, MaxOutputTokens: r.OutputCap(), Temperature: r.Temperature, Waited: waited,
	})
	return ctx, func(resp Response, err error) {
		e := CallEnd{Class: ClassOf(err), Model: resp.Model, FinishReason: resp.FinishReason, Usage: resp.Usage}
		var failed *Error
		if errors.As(err, &failed) {
			e.Status, e.Usage = failed.Status, failed.Usage
		}
		end(e)
	}
}

package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

// oneCall is the tiny call of a target. It is the request of a real run for a tiny document, so
// that it shows what the endpoint takes.
type oneCall struct {
	target   Target
	made     bool // a request was sent
	answered bool
	response llm.Response
	err      error  // of the call, or of its answer; nil: a valid summary
	reason   string // why no call was made
	note     string
	took     time.Duration
}

var errOneCall = errors.New("one call is all that a check makes")

// run makes the call.
func (c *oneCall) run(ctx context.Context) {
	window := c.target.Window
	if window == 0 {
		window = c.target.Prices.SmallestWindow(c.target.Profile.Model)
	}
	engine, err := summarize.New(c.target.Profile, window)
	if err != nil {
		c.reason = err.Error()
		return
	}
	_, err = engine.Summarize(ctx, c, document)
	switch {
	case c.err != nil || c.reason != "":
	case errors.Is(err, errOneCall):
		c.err = errors.New("the answer is not a valid summary")
	default:
		c.err = err
	}
}

// Complete implements [summarize.Completer]: it makes the first call and no other.
func (c *oneCall) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	if c.made || c.reason != "" {
		return llm.Response{}, errOneCall
	}
	end, err := c.target.Book(ctx, r)
	if err != nil {
		c.reason = err.Error()
		return llm.Response{}, err
	}
	began := time.Now()
	response, err := c.target.Client.Complete(ctx, r)
	c.took = time.Since(began)
	c.made = llm.Sent(err)
	note, bookErr := end(response, err)
	c.note = note
	if bookErr != nil {
		c.note = "not booked: " + bookErr.Error()
	}
	if err != nil {
		c.err = err
		return llm.Response{}, err
	}
	c.answered, c.response = true, response
	return response, nil
}

var _ summarize.Completer = (*oneCall)(nil)

// row returns the row of the call.
func (c *oneCall) row() Row {
	row := Row{Check: "call", State: OK}
	switch {
	case c.reason != "":
		row.State, row.Message = Unknown, "not made: "+c.reason
	case !c.answered:
		row.State, row.Message = Failed, "no call was answered"
		if c.err != nil {
			row.Message = c.err.Error()
		}
	default:
		u := c.response.Usage
		row.Message = fmt.Sprintf("answered in %s: %s in, %s out", round(c.took), tokens(u.In), tokens(u.Out))
		if usd, known := u.Billed(c.target.Prices.Cost(c.target.Profile.Model, c.response.Tier, u)); known {
			row.Message += ", " + text.USD(usd)
		}
	}
	if c.note != "" {
		row.Message += "; " + c.note
	}
	return row
}

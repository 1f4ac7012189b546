package llm

import (
	"fmt"
	"strings"
	"time"
)

// A Class says what to do about a failed call.
type Class string

const (
	// Transient: the same request may well succeed later (5xx, timeouts,
	// resets, truncated or foreign bodies, 200 with an error body).
	Transient Class = "transient"
	// RateLimited: too early. Not the document's fault: wait for RetryAfter and
	// spend no attempt.
	RateLimited Class = "rate_limited"
	// ContextLength: prompt and output cap do not fit the model's window (or
	// the endpoint's token limit for one request). A smaller prompt may.
	ContextLength Class = "context_length"
	// TooLong: the answer did not fit its output limit. Complete itself reports
	// this as FinishLength; callers that give up use this class.
	TooLong Class = "output_too_long"
	// BadRequest: the endpoint refuses the request as such; the same bytes will
	// be refused again.
	BadRequest Class = "bad_request"
	// Refused: a content filter or the model declined to answer.
	Refused Class = "refused"
	// Halted: no retry of any document mends it (key, permission, model, credit).
	Halted Class = "halted"
)

// An Error is a failed call, classified. It never holds a key, a prompt or
// text of a document. A context ended by the caller is not an Error: it is
// returned as it is.
type Error struct {
	Class   Class
	Status  int    // HTTP status, 0 when there was no answer
	Code    string // the endpoint's own code, or ours for failures below HTTP ("timeout", "reset", …)
	Message string // for people: what happened and, when Halted, what to do
	// RetryAfter is how long to wait before the next try; 0 when unknown.
	RetryAfter time.Duration
	// Usage is what the failed call was still billed for, as far as it is known.
	Usage Usage
	// MayBeBilled says that the endpoint may charge for the call and has not said how much: it was cut off, by time, by the
	// connection or by a gateway, after the endpoint had begun.
	MayBeBilled bool
}

// Error gives the message, with status and code where there are any.
func (e *Error) Error() string {
	var detail []string
	if e.Status != 0 {
		detail = append(detail, fmt.Sprintf("status %d", e.Status))
	}
	if e.Code != "" {
		detail = append(detail, e.Code)
	}
	if len(detail) == 0 {
		return e.Message
	}
	return e.Message + " (" + strings.Join(detail, ", ") + ")"
}

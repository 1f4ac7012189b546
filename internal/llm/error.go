package llm

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Class is the kind of a failed call. It determines what the caller does next.
type Class string

const (
	// Transient: the same request may succeed later (5xx, timeout, reset, truncated or unknown
	// body, 200 with an error in its body).
	Transient Class = "transient"
	// RateLimited: the call came too early. The document is not at fault: wait for RetryAfter and
	// use no attempt.
	RateLimited Class = "rate_limited"
	// Quota: a quota of a longer time than a minute is used up, such as a day's requests. The
	// document is not at fault. Calls fail until [Error.Until].
	Quota Class = "quota"
	// Overloaded: the endpoint has too much to do, or is loading the model, while it may answer other
	// calls. The document is not at fault: try again a moment later and use no attempt.
	Overloaded Class = "overloaded"
	// Unavailable: the endpoint is down. The document is not at fault: wait for RetryAfter and use
	// no attempt.
	Unavailable Class = "unavailable"
	// Capacity: the endpoint has no capacity for the service tier now. The document is not at fault,
	// and no limit of the account is reached: wait for RetryAfter and use no attempt.
	Capacity Class = "capacity"
	// ContextLength: prompt and output cap do not fit into the model's window, or into the
	// endpoint's token limit for one request. A smaller prompt may fit.
	ContextLength Class = "context_length"
	// TooLong: the answer did not fit into its output limit. Complete reports this as FinishLength;
	// callers that give up use this class.
	TooLong Class = "output_too_long"
	// BadRequest: the endpoint rejects the request and would reject the same bytes again.
	BadRequest Class = "bad_request"
	// Refused: a content filter or the model declined to answer.
	Refused Class = "refused"
	// Halted: no call can succeed until a person acts (key, permission, model, credit).
	Halted Class = "halted"
)

// An Error is a classified failure of a call. It never contains a key, a prompt or text of a
// document. If the caller's context ends, its error is returned instead of an Error.
type Error struct {
	Class   Class
	Status  int    // HTTP status; 0 without a response
	Code    string // the endpoint's code, or one of ours below HTTP ("timeout", "reset", …)
	Message string // for people: what happened and, if Halted, what to do
	// Endpoint is the host. If it is down, Since is when it went down, and Cause is the failure that
	// shows it.
	Endpoint string
	Since    time.Time
	Cause    string
	// RetryAfter is how long to wait before the next try; 0 if unknown.
	RetryAfter time.Duration
	// Quota names the quota that is used up, such as "requests per day", if the class is Quota, or
	// RateLimited because the quota resets within [Config.MaxWait]. Until is when it resets; zero if
	// that is unknown.
	Quota string
	Until time.Time
	// Doubtful is set if nothing in the answer tells whether the document is at fault, or the account
	// or the settings: what other documents get shows it.
	Doubtful bool
	// Usage is what the endpoint reported for the failed call, and Tier the tier that it is billed at.
	Usage Usage
	Tier  Tier
	// Window is the number of prompt tokens that the endpoint read before it cut the prompt; 0 if it
	// did not, or gave none.
	Window int
	// MayBeBilled is set if the endpoint may charge for the call but reported no usage: a timeout,
	// the connection or a gateway ended the call after the endpoint may have begun, or the answer
	// names no usage.
	MayBeBilled bool
	// NotSent is set if no request was sent: the call was refused before that, it cannot be encoded,
	// or no connection could be made. Such a call does not count, and costs nothing.
	NotSent bool
}

// WaitError is the error of a context that ended while a call waited for a limit or an endpoint.
// No request was in flight, so it costs nothing. It wraps the context's error.
type WaitError struct {
	// Sent is set if an earlier request of the call was sent and answered with a 429.
	Sent bool
	err  error
}

// Error returns the text of the context's error.
func (e *WaitError) Error() string { return e.err.Error() }

// Unwrap returns the context's error.
func (e *WaitError) Unwrap() error { return e.err }

// Sent reports whether a call that ended with err was sent. A call that was not sent does not
// count.
func Sent(err error) bool {
	var failed *Error
	var waited *WaitError
	switch {
	case errors.As(err, &waited):
		return waited.Sent
	case errors.As(err, &failed):
		return !failed.NotSent
	}
	return true
}

// Error returns the message with the status and the code, if there are any.
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

// Repeat reports that one more call may give an answer, and what the failure is if that call ends
// in the same way. No waiting helps, so further calls would be paid for nothing:
//
//   - The endpoint read the prompt and gave neither an answer nor an error. Gemini does so where it
//     blocks a prompt (bespokelabsai/curator issue 621), and now and then without cause. The second
//     time the document is refused.
//   - The answer is larger than 16 MiB: a model that does not stop. The second time the answer is
//     too long.
//   - The answer is white space up to its cap. The second request is written without the
//     endpoint's structured output, so the same failure cannot come back.
func (e *Error) Repeat() (last *Error, again bool) {
	same := *e
	switch e.Code {
	case codeNoAnswer:
		same.Class = Refused
		same.Message = "the endpoint read the prompt and gave no answer, also when asked again: its filter blocks the document"
	case codeTooLarge:
		same.Class = TooLong
		same.Message += ", also when asked again"
	case codeWhiteSpace:
		same.Class = TooLong
	default:
		return nil, false
	}
	return &same, true
}

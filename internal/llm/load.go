package llm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// overloadWords are how endpoints say that they have too much to do, or are still loading the
// model. Sources:
//   - OpenAI: "That model is currently overloaded with other requests", "The engine is currently
//     overloaded, please try again later" (platform.openai.com/docs/guides/error-codes)
//   - Anthropic: type overloaded_error (docs.anthropic.com/en/api/errors)
//   - Gemini: "The model is overloaded. Please try again later.", status UNAVAILABLE
//     (google-gemini/gemini-cli issue 4360)
//   - DeepSeek: "Server overloaded" (api-docs.deepseek.com/quick_start/error_codes)
//   - Mistral: "Service tier capacity exceeded for this model"
//   - llama.cpp: "Loading model" (tools/server/server.cpp); Hugging Face: "Model … is currently
//     loading" with estimated_time; TGI: error_type "overloaded"
//   - Bedrock: "Model is not ready for inference" (ModelNotReadyException)
//
//nolint:gochecknoglobals // a constant
var overloadWords = []string{
	"overloaded", "is busy", "are busy", "too busy", "at capacity", "capacity exceeded", "no capacity", "over capacity",
	"loading model", "currently loading", "is loading", "still loading", "being loaded", "not ready for inference",
	"temporarily unavailable", "service unavailable", "high demand", "queue is full",
}

// overload makes e of class Overloaded if the endpoint has too much to do: it answers other calls
// meanwhile, or will after a while. The words count for an error that another try may cure.
func overload(e *Error, ex *exchange) {
	if e.Class != Transient {
		return
	}
	said := strings.ToLower(e.Code + " " + e.Message)
	is := e.Code == "unavailable" || e.Code == "UNAVAILABLE"
	for _, words := range overloadWords {
		is = is || strings.Contains(said, words)
	}
	switch e.Status {
	case http.StatusServiceUnavailable, 521, 522, 523, 529: // see certainOutage
		is = true
	}
	if !is {
		return
	}
	e.Class = Overloaded
	if e.RetryAfter == 0 {
		e.RetryAfter = estimatedTime(ex.body)
	}
}

// estimatedTime returns the time until a model is loaded, or 0. Hugging Face's Inference API tells
// it in seconds: {"error": "Model x is currently loading", "estimated_time": 20.0}.
func estimatedTime(body []byte) time.Duration {
	var said struct {
		Seconds float64 `json:"estimated_time"`
	}
	if json.Unmarshal(body, &said) != nil || said.Seconds <= 0 {
		return 0
	}
	return time.Duration(min(said.Seconds, 600) * float64(time.Second))
}

// load is what a client knows about the calls in flight and those that were answered. It is safe
// for concurrent use.
type load struct {
	mu       sync.Mutex
	inFlight int
	begun    int            // calls so far
	answered time.Time      // the last answer
	largest  map[string]int // tokens of the largest prompt and answer of each model
	// Since the last answer:
	silent time.Time // the first failure without an answer; zero: none
	cause  *Error    // the last such failure
}

// begin counts a call in flight. together returns the number of calls that were in flight at some
// time since then, this one included.
func (l *load) begin() (together func() int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight++
	l.begun++
	before := l.begun - l.inFlight
	return func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.begun - before
	}
}

// end counts the end of a call.
func (l *load) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
}

// succeeded notes an answer.
func (l *load) succeeded(model string, u Usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = time.Now()
	if l.largest == nil {
		l.largest = map[string]int{}
	}
	l.largest[model] = max(l.largest[model], u.In+u.Out)
}

// heard notes how a request ended, and returns since when there has been no answer; zero if there
// was one. An answer is anything but a rate limit, an overload, a lack of capacity and what shows
// no working endpoint.
func (l *load) heard(failed *Error) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if failed == nil || failed.Class != RateLimited && failed.Class != Capacity && !failed.outage() {
		l.silent, l.cause = time.Time{}, nil
		return l.silent
	}
	if l.silent.IsZero() {
		l.silent = time.Now()
	}
	l.cause = failed
	return l.silent
}

// lastCause returns the last failure without an answer, or nil.
func (l *load) lastCause() *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// answeredSince reports whether another call was answered since t.
func (l *load) answeredSince(t time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered.After(t)
}

// fits reports whether an answer of the model had as many tokens.
func (l *load) fits(model string, tokens int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tokens <= l.largest[model]
}

// judge corrects the class of a failure by what other calls show. begun is when the call was sent,
// and n the number of calls in flight since then.
func (c *Client) judge(r Request, ex *exchange, e *Error, begun time.Time, n int) *Error {
	overload(e, ex)
	switch {
	case e.Class == Quota:
		c.waitFor(e)
	case e.Code == codeTimeout:
		longer := "--request-timeout"
		if r.Tier == TierFlex {
			longer = "--flex-timeout"
		}
		others := c.load.answeredSince(begun)
		if n > 1 && others {
			// The call has waited in the server's queue.
			e.Class = Overloaded
			e.Message += "; the endpoint answers fewer calls at a time: lower --concurrency, or raise " + longer
		} else {
			e.Message += "; the model may need longer or is still loading: raise " + longer + ", or lower --concurrency"
		}
	case e.Class == ContextLength && n > 1 && e.Status >= http.StatusInternalServerError && c.load.fits(r.Model, CountRequest(r)):
		// vLLM and llama.cpp divide the memory of the context among the calls in flight. This prompt
		// is not larger than one that was answered (ggml-org/llama.cpp issue 19774).
		e.Class = Overloaded
		e.Message = fmt.Sprintf("the endpoint has no room for this prompt besides %d other calls, lower --concurrency: %s", n-1, e.Message)
	}
	return e
}

// CodeSilent is the code of class Unavailable if the endpoint has given no answer for
// [Config.MaxWait].
const CodeSilent = "endpoint_silent"

// waitFor makes a quota that resets within Config.MaxWait a rate limit. All calls wait for it then.
// A client with a fallback does not wait.
func (c *Client) waitFor(e *Error) {
	if e.Until.IsZero() || c.cfg.FailWhenDown {
		return
	}
	if left := time.Until(e.Until); left <= c.cfg.MaxWait {
		e.Class, e.RetryAfter = RateLimited, max(left, time.Second)
	}
}

// noAnswer returns the error of an endpoint that has given no answer for too long, or nil. failed
// is the last failure, nil after an answer.
func (c *Client) noAnswer(failed *Error) *Error {
	since := c.load.heard(failed)
	if since.IsZero() || c.cfg.MaxWait <= 0 || time.Since(since) < c.cfg.MaxWait {
		return nil
	}
	out := *failed
	out.Class, out.Code, out.Cause, out.Since = Unavailable, CodeSilent, failed.Error(), since
	out.RetryAfter = max(out.RetryAfter, breakerDelayCap)
	out.Message = fmt.Sprintf("%s has given no answer for %s: %s", c.Host(), time.Since(since).Round(time.Second), failed.Error())
	out.Status = 0
	return &out
}

// Suspect tells the client that the endpoint gave other processes no answer since then. It makes
// one call at a time until the endpoint answers. Call it before the first call.
func (c *Client) Suspect(since time.Time, cause string) {
	c.load.mu.Lock()
	c.load.silent = since
	c.load.mu.Unlock()
	c.breaker.suspect(since, cause)
}

// cause returns the endpoint's words about why calls wait, or "".
func (c *Client) cause() string {
	if e := c.load.lastCause(); e != nil {
		return e.Error()
	}
	return ""
}

package llm

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// cooldown is how long a halted endpoint is passed over before one call probes it.
const cooldown = time.Minute

// A Fallback sends each request to the first of its endpoints that can answer it. It is safe for
// concurrent use.
//
// It goes on to the next endpoint if one is down (its breaker is open, or nothing listens), if it
// is halted (key, credit, model), if a quota is used up, or if it refuses the document. It also
// goes on if a fallback rejects the request. It returns other failures and rate limits, because a
// retry or a wait may cure them and the next endpoint may cost more.
type Fallback struct {
	endpoints Endpoints
	log       *slog.Logger

	mu     sync.Mutex
	halted []time.Time // end of each endpoint's cooldown; zero: not halted
}

// NewFallback returns a Fallback of at least one endpoint; the first one is preferred. All of
// them have a Client. If there are several, their clients have Config.FailWhenDown set.
func NewFallback(log *slog.Logger, endpoints ...Endpoint) *Fallback {
	return &Fallback{endpoints: endpoints, log: log, halted: make([]time.Time, len(endpoints))}
}

// Complete calls ask for one endpoint after the other and returns the first answer. ask makes one
// call to the endpoint. The answer's Usage includes what other endpoints billed for refusals.
//
// If no endpoint answers, the error is an *Error: Halted only if all endpoints are halted, Quota if
// all are halted or have a quota that is used up, and Refused only if all that could be asked
// refused. An error of ask that is not an *Error, or that
// another endpoint would not change, is returned as it is.
func (f *Fallback) Complete(ask func(Endpoint) (Response, error)) (Response, error) {
	var failures []failure
	var billed Usage
	for _, i := range f.order() {
		response, err := f.ask(i, ask)
		if err == nil {
			f.markHealthy(i)
			response.Usage = response.Usage.Add(billed)
			return response, nil
		}
		var failed *Error
		if len(f.endpoints) == 1 || !errors.As(err, &failed) || !failed.triesNext(i) {
			return Response{}, err
		}
		if (failed.Class == Halted || failed.Class == Quota) && !failed.Doubtful {
			f.coolDown(i, failed)
		}
		billed = billed.Add(failed.Usage)
		failures = append(failures, failure{i, failed})
	}
	return Response{}, f.finalError(failures, billed)
}

// ask asks an endpoint unless it is known to be down. A single endpoint is always asked.
func (f *Fallback) ask(i int, ask func(Endpoint) (Response, error)) (Response, error) {
	e := f.endpoints[i]
	if len(f.endpoints) > 1 {
		if err := e.Client.Down(); err != nil {
			return Response{}, err
		}
	}
	return ask(e)
}

// triesNext reports whether the next endpoint is asked after endpoint i failed with e.
func (e *Error) triesNext(i int) bool {
	switch e.Class {
	case Halted, Quota, Refused, Unavailable:
		return true
	case BadRequest:
		return i > 0 // a request that only a fallback rejects says nothing about the document
	}
	return false
}

// order returns the endpoints in the order in which to ask them. Halted ones come last. Once the
// cooldown of a halted one ends, one call probes it in its normal position.
func (f *Fallback) order() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	var order, last []int
	for i, until := range f.halted {
		switch {
		case until.IsZero():
			order = append(order, i)
		case now.Before(until):
			last = append(last, i)
		default:
			f.halted[i] = now.Add(cooldown)
			order = append(order, i)
		}
	}
	return append(order, last...)
}

// coolDown passes an endpoint over for a while.
func (f *Fallback) coolDown(i int, failed *Error) {
	f.mu.Lock()
	first := f.halted[i].IsZero()
	f.halted[i] = time.Now().Add(cooldown)
	f.mu.Unlock()
	if first {
		f.log.Warn("endpoint halted, using the next one", slog.String("endpoint", f.endpoints[i].String()), slog.String("error", failed.Error()))
	}
}

// markHealthy ends an endpoint's cooldown.
func (f *Fallback) markHealthy(i int) {
	f.mu.Lock()
	was := f.halted[i]
	f.halted[i] = time.Time{}
	f.mu.Unlock()
	if !was.IsZero() {
		f.log.Warn("endpoint answers again", slog.String("endpoint", f.endpoints[i].String()))
	}
}

// failure is how one endpoint failed.
type failure struct {
	endpoint int
	err      *Error
}

// finalError returns the error of a request that no endpoint answered. One failure decides its
// class, the first of its kind in the order of the endpoints.
func (f *Fallback) finalError(failures []failure, billed Usage) error {
	slices.SortFunc(failures, func(a, b failure) int { return cmp.Compare(a.endpoint, b.endpoint) })
	first := func(c Class) *Error {
		for _, one := range failures {
			if one.err.Class == c {
				return one.err
			}
		}
		return nil
	}
	refused, down, quota, halted := first(Refused), first(Unavailable), first(Quota), first(Halted)
	var out Error
	switch {
	case refused != nil && cmp.Or(down, quota) != nil:
		// This spends an attempt: a refusal may be billed, and the first endpoint will refuse again.
		out = Error{Class: Transient, Code: refused.Code, Message: f.joinErrors(refused, failures)}
	case cmp.Or(refused, down, quota, halted) != nil:
		decides := cmp.Or(refused, down, quota, halted)
		out = *decides
		out.Message = f.joinErrors(decides, failures)
	default:
		out = *failures[0].err
	}
	if out.Class == Unavailable { // the endpoint that is probed first ends the wait
		for _, one := range failures {
			if one.err.Class == Unavailable {
				out.RetryAfter = min(out.RetryAfter, one.err.RetryAfter)
			}
		}
	}
	out.Usage = billed
	return &out
}

// joinErrors returns the message of the failure that decides, followed by the others.
func (f *Fallback) joinErrors(decides *Error, failures []failure) string {
	var others []string
	for _, one := range failures {
		if one.err != decides {
			others = append(others, f.endpoints[one.endpoint].String()+": "+one.err.Error())
		}
	}
	if len(others) == 0 {
		return decides.Message
	}
	return fmt.Sprintf("%s; no other endpoint answered either: %s", decides.Message, strings.Join(others, "; "))
}

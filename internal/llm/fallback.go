package llm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// benchFor is how long a candidate that is halted is passed over before one call tries it again.
const benchFor = time.Minute

// A Completer makes one call. [Client] is one.
type Completer interface {
	Complete(ctx context.Context, r Request) (Response, error)
}

// A Candidate is one of several endpoints that can be asked: a client, and the model that it is asked for.
type Candidate struct {
	Name  string // for people: model and endpoint
	Calls Completer
	Model string // asked for in place of the request's; empty: the request's
	// Down returns, at once, the error that a call would end with because the endpoint is down; nil when it is not, or not known.
	Down func() error
}

// A Fallback asks the first of its candidates that can answer, for each request anew, so that the first is asked again as soon
// as it is well. It is safe for concurrent use.
//
// It goes on to the next candidate when one is down (its breaker is open, or nothing listens), when it is halted (key, credit,
// model), and when it refuses the document. A single failure that a retry may mend is the caller's to retry, and a rate limit
// only makes the caller wait: neither moves load to a model that may cost more.
type Fallback struct {
	candidates []Candidate
	log        *slog.Logger

	mu     sync.Mutex
	halted []time.Time // until when each is passed over; zero: it is well
}

// NewFallback needs at least one candidate; the first is the one that is wanted. Clients among several must have
// Config.FailWhenDown set.
func NewFallback(log *slog.Logger, candidates ...Candidate) *Fallback {
	return &Fallback{candidates: candidates, log: log, halted: make([]time.Time, len(candidates))}
}

// Complete asks the candidates in turn, by ask, which makes one call, and gives the answer of the first that has one; its Usage
// counts what others were billed for refusals. The error is Halted only when all candidates are, and Refused when all that could
// be asked refused.
func (f *Fallback) Complete(ask func(Candidate) (Response, error)) (Response, error) {
	var failures []failure
	var billed Usage
	for _, i := range f.order() {
		response, err := f.ask(i, ask)
		if err == nil {
			f.well(i)
			response.Usage = response.Usage.Add(billed)
			return response, nil
		}
		var failed *Error
		if len(f.candidates) == 1 || !errors.As(err, &failed) || !failed.movesOn(i) {
			return Response{}, err
		}
		if failed.Class == Halted {
			f.bench(i, failed)
		}
		billed = billed.Add(failed.Usage)
		failures = append(failures, failure{i, failed})
	}
	return Response{}, f.verdict(failures, billed)
}

func (f *Fallback) ask(i int, ask func(Candidate) (Response, error)) (Response, error) {
	c := f.candidates[i]
	if c.Down != nil && len(f.candidates) > 1 {
		if err := c.Down(); err != nil {
			return Response{}, err
		}
	}
	return ask(c)
}

// movesOn says whether the next candidate is asked after candidate i failed so.
func (e *Error) movesOn(i int) bool {
	switch e.Class {
	case Halted, Refused:
		return true
	case RateLimited:
		return e.Code == codeCircuitOpen
	case Transient:
		return e.Code == codeUnreachable
	case BadRequest:
		return i > 0 // that a fallback does not take the request says nothing about the document
	}
	return false
}

// order is in which the candidates are asked: those that are halted come last, for the case that no other can be asked. When
// the time of one is over, one call gets it in its place.
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
			f.halted[i] = now.Add(benchFor)
			order = append(order, i)
		}
	}
	return append(order, last...)
}

func (f *Fallback) bench(i int, failed *Error) {
	f.mu.Lock()
	first := f.halted[i].IsZero()
	f.halted[i] = time.Now().Add(benchFor)
	f.mu.Unlock()
	if first {
		f.log.Warn("an endpoint is passed over", slog.String("candidate", f.candidates[i].Name), slog.String("error", failed.Error()))
	}
}

func (f *Fallback) well(i int) {
	f.mu.Lock()
	was := f.halted[i]
	f.halted[i] = time.Time{}
	f.mu.Unlock()
	if !was.IsZero() {
		f.log.Warn("an endpoint is asked again", slog.String("candidate", f.candidates[i].Name))
	}
}

type failure struct {
	candidate int
	err       *Error
}

// verdict is what it means that no candidate has answered.
func (f *Fallback) verdict(failures []failure, billed Usage) error {
	slices.SortFunc(failures, func(a, b failure) int { return cmp.Compare(a.candidate, b.candidate) })
	first := func(is func(*Error) bool) *Error {
		for _, one := range failures {
			if is(one.err) {
				return one.err
			}
		}
		return nil
	}
	refused := first(func(e *Error) bool { return e.Class == Refused })
	closed := first(func(e *Error) bool { return e.Class == RateLimited })
	away := first(func(e *Error) bool { return e.Class == Transient })
	halted := first(func(e *Error) bool { return e.Class == Halted })
	var out Error
	switch {
	case refused != nil && cmp.Or(closed, away) != nil:
		// An attempt is spent: refusals may be billed, and the next time the first refuses again.
		out = Error{Class: Transient, Code: refused.Code, Message: f.story(refused, failures)}
	case refused != nil:
		out = *refused
		out.Message = f.story(refused, failures)
	case closed != nil:
		out = *closed
		for _, one := range failures {
			if one.err.Class == RateLimited {
				out.RetryAfter = min(out.RetryAfter, one.err.RetryAfter)
			}
		}
		out.Message = f.story(closed, failures)
	case away != nil:
		out = *away
		out.Message = f.story(away, failures)
	case halted != nil:
		out = *halted
		out.Message = f.story(halted, failures)
	default:
		out = *failures[0].err
	}
	out.Usage = billed
	return &out
}

// story is the message of the failure that decides, and what became of the others.
func (f *Fallback) story(decides *Error, failures []failure) string {
	var others []string
	for _, one := range failures {
		if one.err != decides {
			others = append(others, f.candidates[one.candidate].Name+": "+one.err.Error())
		}
	}
	if len(others) == 0 {
		return decides.Message
	}
	return fmt.Sprintf("%s; no other endpoint answered either: %s", decides.Message, strings.Join(others, "; "))
}

package llm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// inProcess carries requests to a handler without a network. Time in a synctest bubble advances
// while they are in flight.
type inProcess struct{ handler http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// countingLimiter records calls and outcomes.
type countingLimiter struct {
	mu       sync.Mutex
	calls    []Call
	outcomes []Outcome
}

func (l *countingLimiter) Acquire(_ context.Context, c Call) (Permit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
	return countingPermit{l}, nil
}

type countingPermit struct{ l *countingLimiter }

func (countingPermit) Waited() time.Duration { return 0 }
func (p countingPermit) Done(o Outcome) {
	p.l.mu.Lock()
	defer p.l.mu.Unlock()
	p.l.outcomes = append(p.l.outcomes, o)
}

func TestLimiterGetsCallsAndOutcomes(t *testing.T) {
	t.Parallel()
	l := &countingLimiter{}
	rec := &recorder{answer: func(n int, _ body, w http.ResponseWriter) {
		w.Header().Set("x-ratelimit-limit-requests", "100")
		switch n {
		case 1:
			reply(w, 200, goodAnswer)
		case 2:
			reply(w, 500, `{}`)
		}
	}}
	c := newClient(t, rec, Config{Limiter: l})
	r := testRequest("The text of the document.")
	if _, err := c.Complete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(t.Context(), r); err == nil {
		t.Fatal("no error")
	}
	if len(l.calls) != 2 || len(l.outcomes) != 2 {
		t.Fatalf("%d acquired, %d done", len(l.calls), len(l.outcomes))
	}
	if got := l.calls[0]; got.OutputTokens != 400 || got.Model != r.Model || got.InputTokens() != CountRequest(r) {
		t.Errorf("call %+v", got)
	}
	ok, failed := l.outcomes[0], l.outcomes[1]
	if ok.Err != nil || ok.Usage.In != 10 || ok.Latency <= 0 || ok.Header.Get("x-ratelimit-limit-requests") != "100" {
		t.Errorf("outcome %+v", ok)
	}
	if failed.Err == nil || failed.Header == nil {
		t.Errorf("outcome %+v", failed)
	}
}

// TestLimiterErrorPassesThrough: errors of a limiter that are not an *Error are returned
// unchanged.
func TestLimiterErrorPassesThrough(t *testing.T) {
	t.Parallel()
	c := newClient(t, &recorder{}, Config{Limiter: brokenLimiter{}})
	if _, err := c.Complete(t.Context(), testRequest("text")); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type brokenLimiter struct{}

func (brokenLimiter) Acquire(context.Context, Call) (Permit, error) { return nil, io.ErrNoProgress }

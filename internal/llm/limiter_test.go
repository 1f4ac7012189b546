package llm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// inProcess carries requests to a handler without a network, so that time in a
// synctest bubble moves while they are under way.
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

func bubbleClient(t *testing.T, h http.HandlerFunc, cfg Config) *Client {
	t.Helper()
	cfg.BaseURL = "http://model.test"
	cfg.HTTPClient = &http.Client{Transport: inProcess{h}}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRateLimitedCallWaitsAndGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls <= 2 {
				w.Header().Set("Retry-After", "20")
				reply(w, 429, `{"error":{"message":"slow down"}}`)
				return
			}
			reply(w, 200, goodAnswer)
		}, Config{})
		start := time.Now()
		if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 40*time.Second || calls != 3 {
			t.Errorf("%d calls in %s, want 3 in 40s", calls, took)
		}
	})
}

func TestRateLimitedTooLongComesBackAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("Retry-After", "600")
			reply(w, 429, `{"error":{"message":"come back later","code":"rate_limit_exceeded"}}`)
		}, Config{})
		start := time.Now()
		_, err := c.Complete(t.Context(), testRequest("text"))
		failed := wantError(t, err)
		if failed.Class != RateLimited || failed.RetryAfter != 10*time.Minute || !strings.Contains(failed.Message, "come back later") {
			t.Errorf("got %+v", failed)
		}
		// The next call of this client is not sent at all, and knows how long.
		time.Sleep(time.Minute)
		_, err = c.Complete(t.Context(), testRequest("other"))
		if failed := wantError(t, err); failed.Class != RateLimited || failed.RetryAfter != 9*time.Minute {
			t.Errorf("got %+v", failed)
		}
		if took := time.Since(start); took != time.Minute || calls != 1 {
			t.Errorf("%d calls in %s, want 1 and no waiting", calls, took)
		}
	})
}

// TestWaitsAddUp has an endpoint that always asks for a little more: the sum of
// the waits stays within MaxWait.
func TestWaitsAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "25")
			reply(w, 429, `{}`)
		}, Config{MaxWait: time.Minute})
		start := time.Now()
		_, err := c.Complete(t.Context(), testRequest("text"))
		if failed := wantError(t, err); failed.Class != RateLimited || failed.RetryAfter < 25*time.Second {
			t.Errorf("got %+v", failed)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("waited %s", took)
		}
	})
}

func TestWaitAtTheGateEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			reply(w, 429, `{}`)
		}, Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Complete(ctx, testRequest("text"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// TestOneRefusalIsOnePause sends a burst into a closed door: nobody asks again
// before the time that was named, and all are served after it.
func TestOneRefusalIsOnePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var early, refused, served atomic.Int64
		open := time.Now().Add(10 * time.Second)
		c := bubbleClient(t, func(w http.ResponseWriter, r *http.Request) {
			arrived := time.Now()
			time.Sleep(100 * time.Millisecond)
			if arrived.Before(open) {
				if arrived.After(open.Add(-9 * time.Second)) {
					early.Add(1)
				}
				refused.Add(1)
				w.Header().Set("retry-after-ms", "10000")
				reply(w, 429, `{}`)
				return
			}
			served.Add(1)
			reply(w, 200, goodAnswer)
		}, Config{MaxConnections: 8})
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if refused.Load() != 8 || early.Load() != 0 || served.Load() != 40 {
			t.Errorf("%d refused (%d during the pause), %d served; want 8, 0, 40", refused.Load(), early.Load(), served.Load())
		}
	})
}

func TestPauseGrowsWithoutRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Full jitter, at its upper end.
		g := gate{jitter: func(d time.Duration) time.Duration { return d }}
		want := []int{1, 2, 4, 8, 16, 30, 30}
		for i, seconds := range want {
			sent, pause := time.Now(), time.Duration(seconds)*time.Second
			if got := g.pause(sent, 0); got != pause {
				t.Fatalf("pause %d is %s, want %ds", i+1, got, seconds)
			}
			// The other calls of the same volley change nothing.
			for range 5 {
				if got := g.pause(sent.Add(-time.Millisecond), 0); got != pause {
					t.Fatalf("an echo of pause %d made it %s", i+1, got)
				}
			}
			if _, err := g.wait(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		g.passed()
		if got := g.pause(time.Now(), 0); got != time.Second {
			t.Errorf("after a success the pause is %s, want 1s", got)
		}
	})
}

func TestPauseIsNeverNothing(t *testing.T) {
	t.Parallel()
	g := gate{jitter: func(time.Duration) time.Duration { return 0 }}
	if got := g.pause(time.Now(), 0); got < pauseMin-time.Millisecond {
		t.Errorf("pause of %s", got)
	}
	if got := g.pause(time.Now().Add(time.Hour), time.Microsecond); got < pauseMin-time.Millisecond {
		t.Errorf("pause of %s", got)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(10)
		for range 10 {
			if err := w.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var order []int
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if err := w.acquire(t.Context()); err != nil {
					t.Error(err)
					return
				}
				order = append(order, i) // one at a time: each place is given up on its own
			})
			synctest.Wait() // in the queue before the next one
		}
		// One volley of 429s is one cut: 10 in flight become 7.
		sent := time.Now()
		time.Sleep(time.Millisecond)
		for range 3 {
			w.refused(sent)
		}
		if w.limit != 7 {
			t.Errorf("limit %g after one volley, want 7", w.limit)
		}
		synctest.Wait()
		for range 5 {
			if w.inFlight > 7 {
				t.Errorf("%d in flight, limit is 7", w.inFlight)
			}
			w.leave()
			synctest.Wait()
		}
		wg.Wait()
		for i, who := range order {
			if who != i {
				t.Errorf("served in the order %v", order)
				break
			}
		}
		// Growth is by one a round, and only while the window is the bound.
		for w.inFlight > 0 {
			w.leave()
		}
		before := w.limit
		for range 100 {
			if err := w.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.succeeded()
		}
		if w.limit != before {
			t.Errorf("an idle window grew from %g to %g", before, w.limit)
		}
	})
}

func TestWindowGivesUpItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWindow(1)
		if err := w.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.acquire(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		w.leave()
		if w.inFlight != 0 || w.waiters.Len() != 0 {
			t.Errorf("%d in flight, %d waiting", w.inFlight, w.waiters.Len())
		}
		for range 50 {
			w.refused(time.Now())
			w.inFlight++
		}
		if w.limit < 1 {
			t.Errorf("limit fell to %g", w.limit)
		}
	})
}

// TestConcurrencyFollowsTheEndpoint has one that takes four calls at once and
// says nothing about time: the share of 429s must fall to what probing costs.
func TestConcurrencyFollowsTheEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var busy, refused atomic.Int64
		c := bubbleClient(t, func(w http.ResponseWriter, _ *http.Request) {
			n := busy.Add(1)
			defer busy.Add(-1)
			if n > 4 {
				refused.Add(1)
				reply(w, 429, `{}`)
				return
			}
			time.Sleep(200 * time.Millisecond)
			reply(w, 200, goodAnswer)
		}, Config{MaxConnections: 16})
		start := time.Now()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 50 {
					if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if n := refused.Load(); n > 40 {
			t.Errorf("%d of 800 calls were refused", n)
		} else {
			t.Logf("%d of 800 calls were refused; %s, 40s is the least", n, time.Since(start))
		}
	})
}

// countingLimiter shows what a limiter is told.
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

func TestLimiterIsTold(t *testing.T) {
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

// TestLimiterErrorPassesThrough: a budget limiter has errors of its own.
func TestLimiterErrorPassesThrough(t *testing.T) {
	t.Parallel()
	c := newClient(t, &recorder{}, Config{Limiter: brokenLimiter{}})
	if _, err := c.Complete(t.Context(), testRequest("text")); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type brokenLimiter struct{}

func (brokenLimiter) Acquire(context.Context, Call) (Permit, error) { return nil, io.ErrNoProgress }

package limiter

import (
	"cmp"
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

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/llm"
)

const goodAnswer = `{"model":"m","choices":[{"message":{"content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2}}`

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func testRequest(content string) llm.Request {
	return llm.Request{
		Model:           "gpt-4o-mini",
		Messages:        []llm.Message{{Role: llm.RoleSystem, Content: "Summarize the document."}, {Role: llm.RoleUser, Content: content}},
		MaxOutputTokens: 400,
	}
}

func wantError(t *testing.T, err error) *llm.Error {
	t.Helper()
	var failed *llm.Error
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want an *llm.Error", err)
	}
	return failed
}

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

// bubbleRedis is an embedded Redis outside of a synctest bubble, with the clock of the bubble.
type bubbleRedis struct {
	server *miniredis.Miniredis
	dial   redis.UniversalClient
}

// inBubble runs a test in a synctest bubble. Time does not advance while Redis answers, because
// its goroutines are outside. The pool is large enough that no command waits for a connection:
// the client's timers for that would outlive the bubble.
func inBubble(t *testing.T, test func(t *testing.T, r *bubbleRedis)) {
	t.Helper()
	server := miniredis.RunT(t)
	synctest.Test(t, func(t *testing.T) {
		r := &bubbleRedis{server: server, dial: redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true, MaxRetries: -1, PoolSize: 1000})}
		r.dial.AddHook(bubbleClock{server})
		defer r.dial.Close()
		test(t, r)
	})
}

// elapse lets time pass in a bubble.
func elapse(d time.Duration) { time.Sleep(d) }

// bubbleClock sets Redis' clock before each command.
type bubbleClock struct{ server *miniredis.Miniredis }

func (bubbleClock) DialHook(next redis.DialHook) redis.DialHook { return next }
func (b bubbleClock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		b.server.SetTime(time.Now())
		return next(ctx, cmd)
	}
}
func (bubbleClock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// client returns the client of one process.
func (b *bubbleRedis) client(t *testing.T, h http.HandlerFunc, cfg llm.Config) *llm.Client {
	t.Helper()
	cfg.BaseURL = "http://model.test"
	cfg.HTTPClient = &http.Client{Transport: inProcess{h}}
	if cfg.Limiter == nil {
		inFlight, timeout := cmp.Or(cfg.MaxConnections, llm.DefaultMaxConnections), cmp.Or(cfg.Timeout, llm.DefaultTimeout)
		cfg.Limiter = New(Config{Redis: b.dial, MaxInFlight: inFlight, Timeout: timeout})
	}
	c, err := llm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRateLimitedCallIsRepeated(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, redis *bubbleRedis) {
		calls := 0
		c := redis.client(t, func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls <= 2 {
				w.Header().Set("Retry-After", "20")
				reply(w, 429, `{"error":{"message":"slow down"}}`)
				return
			}
			reply(w, 200, goodAnswer)
		}, llm.Config{})
		start := time.Now()
		if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 40*time.Second || took > 50*time.Second || calls != 3 {
			t.Errorf("%d calls in %s, want 3 in a little more than 40s", calls, took)
		}
	})
}

func TestLongPauseReturnsAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, redis *bubbleRedis) {
		calls := 0
		c := redis.client(t, func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("Retry-After", "600")
			reply(w, 429, `{"error":{"message":"come back later","code":"rate_limit_exceeded"}}`)
		}, llm.Config{})
		start := time.Now()
		_, err := c.Complete(t.Context(), testRequest("text"))
		failed := wantError(t, err)
		if failed.Class != llm.RateLimited || failed.RetryAfter < 10*time.Minute || !strings.Contains(failed.Message, "come back later") {
			t.Errorf("got %+v", failed)
		}
		// The next call is not sent, and its error names the remaining time.
		time.Sleep(time.Minute)
		_, err = c.Complete(t.Context(), testRequest("other"))
		if failed := wantError(t, err); failed.Class != llm.RateLimited || failed.RetryAfter < 9*time.Minute || failed.RetryAfter > 10*time.Minute {
			t.Errorf("got %+v", failed)
		}
		if took := time.Since(start); took != time.Minute || calls != 1 {
			t.Errorf("%d calls in %s, want 1 and no waiting", calls, took)
		}
	})
}

// TestWaitsAddUp uses an endpoint that asks for a pause again and again. The sum of the waits
// stays within CallWait.
func TestWaitsAddUp(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, redis *bubbleRedis) {
		c := redis.client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "25")
			reply(w, 429, `{}`)
		}, llm.Config{CallWait: time.Minute})
		start := time.Now()
		_, err := c.Complete(t.Context(), testRequest("text"))
		if failed := wantError(t, err); failed.Class != llm.RateLimited || failed.RetryAfter < 25*time.Second {
			t.Errorf("got %+v", failed)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("waited %s", took)
		}
	})
}

func TestWaitEndsWithContext(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, redis *bubbleRedis) {
		c := redis.client(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "30")
			reply(w, 429, `{}`)
		}, llm.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Complete(ctx, testRequest("text"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// TestOneRefusalIsOnePause sends a burst to an endpoint that refuses everything at first. No call
// is repeated before the time that the endpoint names, and all are answered after it.
func TestOneRefusalIsOnePause(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, redis *bubbleRedis) {
		var early, refused, served atomic.Int64
		open := time.Now().Add(10 * time.Second)
		c := redis.client(t, func(w http.ResponseWriter, r *http.Request) {
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
		}, llm.Config{MaxConnections: 8})
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

package worker_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/limiter"
)

// quotaEndpoint answers until a quota of a day is used up. Then it sends an
// error.
type quotaEndpoint struct {
	left  atomic.Int64
	after atomic.Int64 // calls beyond the quota
	body  string
}

const dailyUsedUp = `{"error":{"message":"Rate limit reached for m on requests per day (RPD): Limit 120, Used 120, Requested 1. Please try again in 5s.",` +
	`"type":"requests","code":"rate_limit_exceeded"}}`

func (q *quotaEndpoint) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if q.left.Add(-1) < 0 {
		q.after.Add(1)
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(q.body))
		return
	}
	_, _ = w.Write([]byte(`{"model":"m","choices":[{"finish_reason":"stop","message":{"content":"{\"summary\":\"Short.\"}"}}],"usage":{"prompt_tokens":10,"completion_tokens":3}}`))
}

// client makes calls to an endpoint through the queue's Redis.
func (b *bench) limitedClient(url string, maxWait time.Duration) llm.Caller {
	b.Helper()
	c, err := llm.New(llm.Config{
		BaseURL: url, APIKey: "key", MaxWait: maxWait,
		Limiter: limiter.New(limiter.Config{Redis: b.queue.Redis(), Endpoint: url, Key: "key", MaxInFlight: 16, Timeout: time.Minute}),
	})
	b.ok(err)
	b.Cleanup(c.Close)
	return c
}

// A quota of a day is used up at document 120 of 300. The run stops with the calls that were in
// flight, and continues when the quota has reset.
func TestQuotaOfADay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body  string
		known bool // when it resets
	}{
		"with a short wait that is not true": {dailyUsedUp, false},
		"with its reset":                     {`{"error":{"message":"Rate limit of 120 per 86400s exceeded for UserByModelByDay. Please retry after 83240 seconds.","code":"RateLimitReached"}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, documents(300))
			later := &atomic.Int64{}
			var err error
			b.ledger, err = ledger.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{
				Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
			})
			b.ok(err)
			t.Cleanup(func() { b.ok(b.ledger.Close()) })
			b.enqueue, err = enqueuer.New(enqueuer.Config{Ledger: b.ledger, Queue: b.queue})
			b.ok(err)
			endpoint := &quotaEndpoint{body: test.body}
			endpoint.left.Store(120)
			server := httptest.NewServer(endpoint)
			defer server.Close()
			config := b.config()
			config.Concurrency, config.MaxWait, config.IdleExit = 16, time.Hour, 200*time.Millisecond
			config.Endpoints = llm.Endpoints{{Client: b.limitedClient(server.URL+"/v1", time.Hour)}}
			run := b.plan()
			b.ok(b.workerOf(config).Run(t.Context(), t.Context())) // it ends, because nothing keeps it alive
			run, err = b.ledger.RunByID(t.Context(), run.ID)
			b.ok(err)
			if run.State != ledger.Stopped || run.Reason != ledger.Quota || run.Quota != "requests per day" || run.Until.IsZero() == test.known {
				t.Errorf("the run is %s (%s), quota %q until %s: %s", run.State, run.Reason, run.Quota, run.Until, run.Message)
			}
			b.totals(run, ledger.Totals{Total: 300, Done: 120, Remaining: 180})
			if n := endpoint.after.Load(); n > 16 {
				t.Errorf("%d calls after the quota was used up", n)
			}
			counts, err := b.queue.Count(t.Context())
			b.ok(err)
			if counts.Demand() != 0 {
				t.Errorf("the demand of a stopped run is %d", counts.Demand())
			}
			if test.known {
				var early *enqueuer.QuotaError
				if _, err := b.enqueue.Reopen(t.Context(), run, nil, nil); !errors.As(err, &early) || early.Left < 20*time.Hour {
					t.Errorf("resumed before the quota has reset: %v", err)
				}
				later.Store(int64(24 * time.Hour))
				b.ok(b.recovery().Restart(t.Context())) // as the server does
			} else {
				p, err := b.enqueue.Reopen(t.Context(), run, nil, nil)
				b.ok(err)
				b.ok(p.Publish(t.Context()))
				p.Close()
			}
			endpoint.left.Store(1000)
			b.ok(b.workerOf(config).Run(t.Context(), t.Context()))
			run, err = b.ledger.RunByID(t.Context(), run.ID)
			b.ok(err)
			b.totals(run, ledger.Totals{Total: 300, Done: 300})
			if run.State != ledger.Finished {
				t.Errorf("the run is %s: %s", run.State, run.Message)
			}
		})
	}
}

// A quota that resets within max-wait is waited for, and the worker says until when and why.
func TestQuotaIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(6))
	endpoint := &quotaEndpoint{body: `{"error":{"message":"Rate limit reached on tokens per day (TPD): Limit 100000, Used 99926, Requested 1739. Please try again in 23m58.56s."}}`}
	endpoint.left.Store(2)
	server := httptest.NewServer(endpoint)
	defer server.Close()
	config := b.config()
	config.Concurrency, config.MaxWait = 2, time.Hour
	config.Endpoints = llm.Endpoints{{Client: b.limitedClient(server.URL+"/v1", time.Hour)}}
	run := b.plan()
	stop, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.workerOf(config).Run(stop, t.Context()) }()
	b.until(run, func(ledger.Run) bool {
		workers, err := b.ledger.Workers(t.Context(), run.ID)
		b.ok(err)
		for _, w := range workers {
			if w.Wait != nil && w.Wait.Reason == ledger.WaitQuota {
				if left := time.Until(w.Wait.Until); left < 20*time.Minute || left > 24*time.Minute {
					t.Errorf("waits for %s", left)
				}
				message := w.Wait.Message(time.Now())
				for _, want := range []string{"tokens per day", "nothing is sent until", "in 23m"} {
					if !strings.Contains(message, want) {
						t.Errorf("the wait says %q, without %q", message, want)
					}
				}
				return true
			}
		}
		return false
	})
	cancel()
	b.ok(<-ended)
	if n := endpoint.after.Load(); n > 2 {
		t.Errorf("%d calls after the quota was used up", n)
	}
	run, err := b.ledger.RunByID(t.Context(), run.ID)
	b.ok(err)
	if run.State != ledger.Running {
		t.Errorf("the run is %s: %s", run.State, run.Message)
	}
	b.totals(run, ledger.Totals{Total: 6, Done: 2, Remaining: 4})
}

// The account's quota is used up, and the fallback answers.
func TestQuotaGoesToTheFallback(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(40))
	first := &quotaEndpoint{body: dailyUsedUp}
	server := httptest.NewServer(first)
	defer server.Close()
	config := b.config()
	c, err := llm.New(llm.Config{BaseURL: server.URL + "/v1", FailWhenDown: true, MaxWait: time.Hour,
		Limiter: limiter.New(limiter.Config{Redis: b.queue.Redis(), Endpoint: server.URL, MaxInFlight: 16, Timeout: time.Minute})})
	b.ok(err)
	config.Endpoints = llm.Endpoints{{Client: c}, {Model: "other", Client: b.model}}
	run := b.workAs(b.workerOf(config), b.plan())
	b.totals(run, ledger.Totals{Total: 40, Done: 40})
	if n := first.after.Load(); n > 16 {
		t.Errorf("%d calls to the endpoint whose quota is used up", n)
	}
}

// silence makes calls end as those of an endpoint that has given no answer for max-wait.
func silence(context.Context, string, int) (llm.Response, error) {
	return llm.Response{}, &llm.Error{Class: llm.Unavailable, Code: llm.CodeSilent, Message: "llm:80 has given no answer for 1h0m0s: 503", Cause: "503", Since: time.Now().Add(-time.Hour)}
}

// The endpoint gives no answer for max-wait: `run` stops its run, and a worker ends and leaves the
// run as it is.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		b := setUp(t, documents(40))
		b.model.answer = silence
		config := b.config()
		config.StopsSilent = true
		run := b.workAs(b.workerOf(config), b.plan())
		if run.State != ledger.Stopped || run.Reason != ledger.Halted || !strings.Contains(run.Message, "no answer for 1h0m0s") {
			t.Errorf("the run is %s (%s): %s", run.State, run.Reason, run.Message)
		}
		b.totals(run, ledger.Totals{Total: 40, Remaining: 40})
	})
	t.Run("worker", func(t *testing.T) {
		t.Parallel()
		b := setUp(t, documents(40))
		b.model.answer = silence
		outages := limiter.New(limiter.Config{Redis: b.queue.Redis(), Endpoint: "http://llm:80/v1"})
		config := b.config()
		config.Outages, config.IdleExit = outages, time.Hour
		run := b.plan()
		b.ok(b.workerOf(config).Run(t.Context(), t.Context()))
		known, err := limiter.Outages(t.Context(), b.queue.Redis())
		b.ok(err)
		if len(known) != 1 || known[0].Model != b.name || known[0].Endpoint != "llm:80" || known[0].Cause != "503" {
			t.Errorf("outages %+v", known)
		}
		run, err = b.ledger.RunByID(t.Context(), run.ID)
		b.ok(err)
		if run.State != ledger.Running {
			t.Errorf("the run is %s: %s", run.State, run.Message)
		}
		b.totals(run, ledger.Totals{Total: 40, Remaining: 40})
		b.model.answer = nil // it is back
		config.IdleExit = 200 * time.Millisecond
		b.ok(b.workerOf(config).Run(t.Context(), t.Context()))
		b.totals(run, ledger.Totals{Total: 40, Done: 40})
		if known, err = limiter.Outages(t.Context(), b.queue.Redis()); err != nil || len(known) != 0 {
			t.Errorf("outages %+v, %v", known, err)
		}
	})
	t.Run("worker that stays", func(t *testing.T) {
		t.Parallel()
		b := setUp(t, documents(4))
		b.model.answer = silence
		b.plan()
		if err := b.worker().Run(t.Context(), t.Context()); err == nil || !strings.Contains(err.Error(), "no answer for 1h0m0s") {
			t.Errorf("the worker ended with %v", err)
		}
	})
}

// An overload uses no attempt while other calls are answered, and some timeouts in the endpoint's
// queue use none. Both are bounded.
func TestOverloadUsesNoAttempt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code    string
		times   int // that the first document fails
		maxWait time.Duration
		dead    int64
	}{
		"overload":                  {"", 20, time.Hour, 0},
		"overload, for too long":    {"", 1 << 30, time.Millisecond, 1},
		"timeouts":                  {"timeout", 5, time.Hour, 0}, // three, and two of three attempts
		"timeouts, again and again": {"timeout", 1 << 30, time.Hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, documents(8))
			b.model.answer = func(_ context.Context, prompt string, n int) (llm.Response, error) {
				if strings.Contains(prompt, "document 1.") && n <= test.times {
					return llm.Response{}, &llm.Error{Class: llm.Overloaded, Code: test.code, Message: "too much to do"}
				}
				return llm.Response{}, nil
			}
			config := b.config()
			config.MaxWait = test.maxWait
			run := b.workAs(b.workerOf(config), b.plan())
			b.totals(run, ledger.Totals{Total: 8, Done: 8 - test.dead, Dead: test.dead})
		})
	}
}

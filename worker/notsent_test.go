package worker_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
)

// client makes a real client of an endpoint the bench's only one.
func (b *bench) client(url string, limiter llm.Limiter) []llm.Endpoint {
	b.Helper()
	c, err := llm.New(llm.Config{BaseURL: url, Limiter: limiter})
	b.ok(err)
	b.Cleanup(c.Close)
	return []llm.Endpoint{{Client: c}}
}

// nothingListens returns the URL of a port that refuses connections.
func nothingListens(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String() + "/v1"
	_ = listener.Close()
	return url
}

// checkNothingBooked fails if a call was recorded or counted, or if a document lost an attempt.
func (b *bench) checkNothingBooked(run ledger.Run) {
	b.Helper()
	_, account, err := b.ledger.Totals(b.Context(), run.ID)
	b.ok(err)
	if account.Calls != 0 || account.CostNano != 0 {
		b.Errorf("calls that were not sent are booked: %+v", account)
	}
	counts, err := b.ledger.Counts(b.Context())
	b.ok(err)
	for count, n := range counts {
		if count.Name == ledger.CountCalls || count.Name == ledger.CountCost {
			b.Errorf("counted %v: %d", count, n)
		}
	}
}

// While nothing listens at the endpoint, no call is booked and no attempt is used. The worker says
// in the ledger what it waits for, and a stop ends all waits at once.
func TestStopEndsTheWaitForAnEndpoint(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(16))
	b.retry.MaxAttempts = 1
	b.dayCap = new(int64)
	*b.dayCap = 1e9
	run := b.plan()
	c := b.config()
	c.Endpoints = b.client(nothingListens(t), nil)
	stop, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.workerOf(c).Run(stop, t.Context()) }()
	b.until(run, func(ledger.Run) bool {
		workers, err := b.ledger.Workers(t.Context(), run.ID)
		b.ok(err)
		return len(workers) == 1 && workers[0].Wait != nil && workers[0].Wait.Reason == ledger.WaitEndpoint && !workers[0].Wait.Since.IsZero()
	})
	begun := time.Now()
	cancel()
	b.ok(<-ended)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the stop took %s", took)
	}
	b.totals(run, ledger.Totals{Total: 16, Remaining: 16})
	b.checkNothingBooked(run)
	left, limited, err := report.New(b.ledger).CallsLeft(t.Context(), run.ID, b.dayCap)
	b.ok(err)
	if limited && left < 1 {
		t.Errorf("reservations were not returned: %v calls left", left)
	}
}

// pausedLimiter lets one call go, and makes all others wait for an hour.
type pausedLimiter struct{ first chan struct{} }

func (l pausedLimiter) Acquire(ctx context.Context, c llm.Call) (llm.Permit, error) {
	select {
	case l.first <- struct{}{}:
		return l, nil
	default:
	}
	c.Report(llm.Wait{Kind: llm.WaitRateLimit, Endpoint: "model.test", Until: time.Now().Add(time.Hour)})
	<-ctx.Done()
	return nil, ctx.Err()
}

func (pausedLimiter) Waited() time.Duration { return 0 }
func (pausedLimiter) Done(llm.Outcome)      {}

// A stop while calls wait for a rate limit makes no further call, and finishes the one in flight.
func TestStopEndsTheWaitForALimit(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(16))
	run := b.plan()
	arrived, answer := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-answer
		_, _ = w.Write([]byte(`{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"{\"summary\":\"Short.\"}"}}],"usage":{"prompt_tokens":10,"completion_tokens":3}}`))
	}))
	defer srv.Close()
	c := b.config()
	c.Endpoints = b.client(srv.URL, pausedLimiter{make(chan struct{}, 1)})
	stop, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.workerOf(c).Run(stop, t.Context()) }()
	<-arrived
	b.until(run, func(ledger.Run) bool {
		workers, err := b.ledger.Workers(t.Context(), run.ID)
		b.ok(err)
		return len(workers) == 1 && workers[0].Wait != nil && workers[0].Wait.Reason == ledger.WaitRateLimit
	})
	cancel()
	close(answer)
	b.ok(<-ended)
	b.totals(run, ledger.Totals{Total: 16, Done: 1, Remaining: 15})
	_, account, err := b.ledger.Totals(t.Context(), run.ID)
	b.ok(err)
	if account.Calls != 1 {
		t.Errorf("%d calls are booked, 1 was sent", account.Calls)
	}
}

// Package keda tells KEDA how many partitions can be worked on now.
//
// It owns the number that a ScaledJob is scaled by: what is in the queue (see [tasks.Counts.Demand]), cut to what rate limits and
// budgets can feed, and the endpoint that serves it. It refuses to own the counting itself (tasks), the limits
// (internal/llm), and everything that talks to Kubernetes: KEDA asks, gistmill answers.
package keda

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gistmill/gistmill/tasks"
)

const (
	// fresh is how old an answer may be: KEDA asks at its polling interval, and people and dashboards beside it.
	fresh = time.Second
	// within bounds an answer. The metrics-api scaler gives up after 3 s.
	within = 2 * time.Second
)

// Demand is how many partitions can be worked on, and why.
type Demand struct {
	// Demand is the number to scale by, in partitions.
	Demand int64  `json:"demand"`
	Queue  string `json:"queue"`
	// Uncapped is active + pending + due, or active alone while the queue is paused.
	Uncapped  int64 `json:"uncapped"`
	Active    int64 `json:"active"`
	Pending   int64 `json:"pending"`
	Due       int64 `json:"due"`
	Leaseless int64 `json:"leaseless"` // active, and their worker is dead
	Paused    bool  `json:"paused"`
	// Limit is what limits and budgets can feed, in partitions; nil: as much as there is.
	Limit *int64 `json:"limit"`
	// LimitedBy says what the limit comes from.
	LimitedBy string `json:"limited_by,omitempty"`
}

// Counter counts a queue; *tasks.Queue is one.
type Counter interface {
	Name() string
	Count(ctx context.Context) (tasks.Counts, error)
}

// Feed tells how many calls at once are worth having workers for.
type Feed interface {
	// Calls is how many calls can be kept in flight, and what keeps them from being more; limited is false where nothing does or nothing
	// is known.
	Calls(ctx context.Context) (calls float64, why string, limited bool)
}

// Meter measures the demand. It is safe for concurrent use.
type Meter struct {
	Queue Counter
	Feed  Feed // nil: nothing limits
	// Concurrency is how many calls a worker keeps in flight, Partitions how many partitions it holds.
	Concurrency, Partitions int
	Log                     *slog.Logger

	mu   sync.Mutex
	last Demand
	err  error
	at   time.Time
}

// Read gives the demand, at most a second old. It fails when Redis can't be read, and never says 0 then.
func (m *Meter) Read(ctx context.Context) (Demand, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < fresh {
		return m.last, m.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	m.last, m.err = m.measure(ctx)
	m.at = time.Now()
	return m.last, m.err
}

func (m *Meter) measure(ctx context.Context) (Demand, error) {
	c, err := m.Queue.Count(ctx)
	if err != nil {
		return Demand{}, err
	}
	d := Demand{
		Queue: m.Queue.Name(), Demand: c.Demand(), Uncapped: c.Demand(),
		Active: c.Active, Pending: c.Pending, Due: c.Due, Leaseless: c.Leaseless(), Paused: c.Paused,
	}
	if m.Feed == nil || d.Demand == 0 {
		return d, nil
	}
	calls, why, limited := m.Feed.Calls(ctx)
	if !limited {
		return d, nil
	}
	limit := partitions(calls, m.Concurrency, m.Partitions)
	d.Limit, d.LimitedBy = &limit, why
	d.Demand = min(d.Demand, limit)
	return d, nil
}

// partitions is what the workers hold that keep so many calls in flight: always at least one worker, since somebody has to find out
// that a limit is gone or a budget is used up.
func partitions(calls float64, concurrency, perWorker int) int64 {
	workers := int64(1)
	if c := float64(max(concurrency, 1)); calls > c {
		workers = int64(min(calls/c, 1e9))
		if float64(workers)*c < calls {
			workers++
		}
	}
	return workers * int64(max(perWorker, 1))
}

// ServeHTTP answers with the demand as JSON, or with 503 when it is not known: KEDA then keeps what it has, where a 0 would tell it
// that nobody is needed.
func (m *Meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the demand can only be read", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	var body any
	d, err := m.Read(r.Context())
	if err != nil {
		m.Log.Warn("the demand is not known", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		body = map[string]string{"error": "the queue can't be read: " + err.Error()}
	} else {
		body = d
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		m.Log.Debug("the demand was not sent", "error", err)
	}
}

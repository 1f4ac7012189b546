// Package keda tells KEDA how many partitions workers could work on now.
//
// It owns the number that a ScaledJob scales on: the work in the queue
// ([tasks.Counts.Demand]), capped by the capacity that rate limits and budgets leave, and the
// endpoint that serves it. It refuses to own how the queue is counted (tasks), what the limits
// are (internal/llm) and everything that talks to Kubernetes: KEDA asks, gistmill answers.
package keda

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gistmill/gistmill/tasks"
)

const (
	// maxAge is how long an answer is reused. KEDA asks at its polling interval; people and
	// dashboards ask in between.
	maxAge = time.Second
	// readTimeout bounds one measurement. KEDA's metrics-api scaler gives up after 3 s.
	readTimeout = 2 * time.Second
)

// Demand is the number of partitions that workers could work on now, and its parts.
type Demand struct {
	// Demand is the number to scale on, in partitions.
	Demand int64  `json:"demand"`
	Queue  string `json:"queue"`
	// Uncapped is active + pending + due, or active alone while the queue is paused.
	Uncapped  int64 `json:"uncapped"`
	Active    int64 `json:"active"`
	Pending   int64 `json:"pending"`
	Due       int64 `json:"due"`
	Leaseless int64 `json:"leaseless"` // active, but the worker is dead
	Paused    bool  `json:"paused"`
	// Limit is the capacity in partitions; nil if nothing limits it.
	Limit *int64 `json:"limit"`
	// LimitedBy says where the limit comes from.
	LimitedBy string `json:"limited_by,omitempty"`
}

// Counter counts a queue. [*tasks.Queue] is one.
type Counter interface {
	Name() string
	Count(ctx context.Context) (tasks.Counts, error)
}

// Capacity tells how many calls the workers can keep in flight. [*Limits] is one.
type Capacity interface {
	// Calls returns the number of calls that can be in flight at once, and what limits it. If
	// limited is false, nothing limits the calls, or nothing is known about limits.
	Calls(ctx context.Context) (calls float64, why string, limited bool)
	// Down reports whether no endpoint of the runs has answered for a long time, and why. If probe is
	// set, it is time for one worker to try again.
	Down(ctx context.Context) (down, probe bool, why string)
}

// Config of a [Meter]. Queue is needed.
type Config struct {
	Queue    Counter
	Capacity Capacity // nil: nothing limits the demand
	// Concurrency is the number of calls that one worker keeps in flight, Partitions the number of
	// partitions that it holds. Both are at least 1.
	Concurrency, Partitions int
	Log                     *slog.Logger // nil: nothing is logged
}

// Meter measures the demand. It is an [http.Handler], and safe for concurrent use.
type Meter struct {
	config Config

	mu   sync.Mutex
	last Demand
	err  error
	at   time.Time
}

// NewMeter returns a Meter. It fails without a queue.
func NewMeter(c Config) (*Meter, error) {
	if c.Queue == nil {
		return nil, errors.New("a demand meter needs a queue")
	}
	c.Concurrency, c.Partitions = max(c.Concurrency, 1), max(c.Partitions, 1)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	return &Meter{config: c}, nil
}

// Read returns the demand, at most one second old. If Redis cannot be read it returns the
// error, and never a demand of 0.
func (m *Meter) Read(ctx context.Context) (Demand, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < maxAge {
		return m.last, m.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	m.last, m.err = m.measure(ctx)
	m.at = time.Now()
	return m.last, m.err
}

func (m *Meter) measure(ctx context.Context) (Demand, error) {
	c, err := m.config.Queue.Count(ctx)
	if err != nil {
		return Demand{}, err
	}
	d := Demand{
		Queue: m.config.Queue.Name(), Demand: c.Demand(), Uncapped: c.Demand(),
		Active: c.Active, Pending: c.Pending, Due: c.Due, Leaseless: c.Leaseless(), Paused: c.Paused,
	}
	if m.config.Capacity == nil || d.Demand == 0 {
		return d, nil
	}
	if down, probe, why := m.config.Capacity.Down(ctx); down {
		limit := int64(0)
		if probe {
			limit = 1
		}
		d.Limit, d.LimitedBy, d.Demand = &limit, why, min(d.Demand, limit)
		return d, nil
	}
	calls, why, limited := m.config.Capacity.Calls(ctx)
	if !limited {
		return d, nil
	}
	limit := partitionsFor(calls, m.config.Concurrency, m.config.Partitions)
	d.Limit, d.LimitedBy = &limit, why
	d.Demand = min(d.Demand, limit)
	return d, nil
}

// partitionsFor returns the number of partitions that workers hold if together they keep this
// number of calls in flight. It counts at least one worker, because a worker has to find out
// that a limit has gone or a budget is used up.
func partitionsFor(calls float64, concurrency, perWorker int) int64 {
	workers := int64(1)
	if c := float64(concurrency); calls > c {
		workers = int64(min(calls/c, 1e9))
		if float64(workers)*c < calls {
			workers++
		}
	}
	return workers * int64(perWorker)
}

// ServeHTTP answers GET and HEAD with the demand as JSON. If the demand is not known it
// answers 503: KEDA then keeps the Jobs it has, whereas a 0 would say that no worker is
// needed.
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
		m.config.Log.Warn("demand unknown, answering 503", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		body = map[string]string{"error": "the queue can't be read: " + err.Error()}
	} else {
		body = d
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		m.config.Log.Debug("demand not sent", "error", err)
	}
}

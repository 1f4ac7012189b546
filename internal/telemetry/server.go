package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/limiter"
)

// partTimeout bounds the time that a scrape waits for a part.
const partTimeout = 2 * time.Second

// Queue holds the figures of a queue, in tasks.
type Queue struct {
	Name                                                   string
	Active, Pending, Scheduled, Retry, Archived, Completed int64
	Processed, Failed, Bytes                               int64
	Paused                                                 bool
	OldestPending                                          time.Duration // its age
}

// Demand is the demand for workers, in partitions.
type Demand struct {
	Queue            string
	Demand, Uncapped int64
}

// ServerConfig is the configuration of [ServerMetrics]. Each scrape calls all functions
// concurrently; they must return when their context ends.
type ServerConfig struct {
	Queue    func(context.Context) (Queue, error)
	Demand   func(context.Context) (Demand, error)
	Limiters func(context.Context) ([]limiter.State, error)
	Ledger   func(context.Context) (report.Stats, error)
	// DayCapNano is the budget of all runs for a UTC day in nano-USD; nil means none.
	DayCapNano *int64
	// DeadClasses are shown even if they have no dead letter.
	DeadClasses []ledger.Class
	Version     string
	Log         *slog.Logger
}

// server reads its metrics at each scrape. Workers count in the ledger, so the counts of pods that
// lived for a minute are included.
type server struct {
	ServerConfig
	descs                     map[string]described
	redisErrors, ledgerErrors atomic.Int64
}

type described struct {
	metric
	desc *prometheus.Desc
}

// ServerMetrics returns the handler of the server's /metrics. It leaves out the metrics of a part
// that cannot be read within two seconds, counts that as a scrape error, and serves the rest.
func ServerMetrics(c ServerConfig) http.Handler {
	return &server{ServerConfig: c, descs: describe(serverMetrics())}
}

func describe(all []metric) map[string]described {
	descs := make(map[string]described, len(all))
	for _, m := range all {
		descs[m.name] = described{m, prometheus.NewDesc(m.name, strings.ReplaceAll(m.help, "`", ""), m.labels, nil)}
	}
	return descs
}

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	all := s.read(r.Context())
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(all); err != nil {
		s.Log.Error("cannot serve metrics", "error", err)
		http.Error(w, "cannot serve metrics", http.StatusInternalServerError)
		return
	}
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: promLog{s.Log}}).ServeHTTP(w, r)
}

type promLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l promLog) Println(v ...any) { l.log.Warn("cannot serve metrics", "error", fmt.Sprint(v...)) }

// sample holds the metrics of one scrape.
type sample struct {
	server  *server
	mu      sync.Mutex
	metrics []prometheus.Metric
}

// Describe implements [prometheus.Collector].
func (s *sample) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.server.descs {
		ch <- d.desc
	}
}

// Collect implements [prometheus.Collector].
func (s *sample) Collect(ch chan<- prometheus.Metric) {
	for _, m := range s.metrics {
		ch <- m
	}
}

func (s *sample) add(name string, value float64, labels ...string) {
	d := s.server.descs[name]
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "?")
	}
	m := prometheus.MustNewConstMetric(d.desc, d.kind, value, labels...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics = append(s.metrics, m)
}

func (s *server) read(ctx context.Context) *sample {
	ctx, cancel := context.WithTimeout(ctx, partTimeout)
	defer cancel()
	out := &sample{server: s}
	var parts sync.WaitGroup
	read := func(what string, errors *atomic.Int64, step func(context.Context, *sample) error) {
		parts.Go(func() {
			if err := step(ctx, out); err != nil {
				errors.Add(1)
				s.Log.Warn("scrape incomplete", "part", what, "error", err)
			}
		})
	}
	read("queue", &s.redisErrors, s.queue)
	read("demand", &s.redisErrors, s.demand)
	read("limiters", &s.redisErrors, s.limiters)
	read("ledger", &s.ledgerErrors, s.ledger)
	parts.Wait()
	out.add(scrapeErrors, float64(s.redisErrors.Load()), string(ofRedis))
	out.add(scrapeErrors, float64(s.ledgerErrors.Load()), string(ofLedger))
	out.add(buildInfo, 1, s.Version, runtime.Version())
	return out
}

func (s *server) queue(ctx context.Context, out *sample) error {
	q, err := s.Queue(ctx)
	if err != nil {
		return err
	}
	size := int64(0)
	for state, n := range map[string]int64{
		"active": q.Active, "pending": q.Pending, "scheduled": q.Scheduled, "retry": q.Retry, "archived": q.Archived, "completed": q.Completed,
	} {
		size += n
		out.add("asynq_tasks_enqueued_total", float64(n), q.Name, state)
	}
	paused := 0.0
	if q.Paused {
		paused = 1
	}
	out.add("asynq_queue_size", float64(size), q.Name)
	out.add("asynq_queue_latency_seconds", q.OldestPending.Seconds(), q.Name)
	out.add("asynq_queue_memory_usage_approx_bytes", float64(q.Bytes), q.Name)
	out.add("asynq_tasks_processed_total", float64(q.Processed), q.Name)
	out.add("asynq_tasks_failed_total", float64(q.Failed), q.Name)
	out.add("asynq_queue_paused_total", paused, q.Name)
	out.add("gistmill_oldest_pending_seconds", q.OldestPending.Seconds(), q.Name)
	return nil
}

func (s *server) demand(ctx context.Context, out *sample) error {
	d, err := s.Demand(ctx)
	if err != nil {
		return err
	}
	out.add("gistmill_demand", float64(d.Demand), d.Queue)
	out.add("gistmill_demand_uncapped", float64(d.Uncapped), d.Queue)
	return nil
}

// limiters adds up the limiters of each model: a model may be used at several endpoints or with
// several keys.
func (s *server) limiters(ctx context.Context, out *sample) error {
	all, err := s.Limiters(ctx)
	if err != nil {
		return err
	}
	models := map[string]limiter.State{}
	for _, l := range all {
		m := models[l.Model]
		m.Wait, m.InFlight, m.RPM, m.TPM = max(m.Wait, l.Wait), m.InFlight+l.InFlight, m.RPM+l.RPM, m.TPM+l.TPM
		m.Limited = m.Limited || l.Limited
		models[l.Model] = m
	}
	for model, m := range models {
		out.add("gistmill_limiter_wait_seconds", m.Wait.Seconds(), model)
		if m.RPM > 0 {
			out.add("gistmill_limiter_rate", m.RPM, model, "requests")
		}
		if m.TPM > 0 {
			out.add("gistmill_limiter_rate", m.TPM, model, "tokens")
		}
		if m.Limited {
			out.add("gistmill_limiter_in_flight", float64(m.InFlight), model)
		}
	}
	return nil
}

func (s *server) ledger(ctx context.Context, out *sample) error {
	f, err := s.Ledger(ctx)
	if err != nil {
		return err
	}
	s.counts(f.Counts, out)
	out.add("gistmill_documents_remaining", float64(f.Remaining))
	dead := map[ledger.Class]int64{}
	for _, class := range s.DeadClasses {
		dead[class] = 0
	}
	for class, n := range f.DeadLetters {
		dead[class] = n
	}
	for class, n := range dead {
		out.add("gistmill_dead_letters", float64(n), string(class))
	}
	for _, state := range []ledger.State{ledger.Planning, ledger.Running, ledger.Finished, ledger.Stopped} {
		out.add("gistmill_runs", float64(f.Runs[state]), string(state))
	}
	sources := map[string]time.Time{} // sources may have the same label
	for source, at := range f.Planned {
		if label := sourceLabel(source); at.After(sources[label]) {
			sources[label] = at
		}
	}
	for source, at := range sources {
		out.add("gistmill_last_enqueue_timestamp_seconds", float64(at.UnixMilli())/1e3, source)
	}
	out.add("gistmill_workers", float64(f.Workers))
	s.budgets(f, out)
	return nil
}

// counts adds the counters. Expected counters begin at 0, because rate() cannot see the first event
// of a counter that begins with it.
func (s *server) counts(all ledger.Counts, out *sample) {
	shown := []ledger.Count{
		{Name: ledger.CountDocuments, Label: ledger.LabelDone}, {Name: ledger.CountDocuments, Label: ledger.LabelDead}, {Name: ledger.CountDocuments, Label: ledger.LabelSkipped},
		{Name: ledger.CountTokens, Label: ledger.LabelIn}, {Name: ledger.CountTokens, Label: ledger.LabelOut},
		{Name: ledger.CountCalls, Label: llm.ClassOK}, {Name: ledger.CountCalls, Label: string(llm.RateLimited)}, {Name: ledger.CountCalls, Label: string(llm.Unavailable)}, {Name: ledger.CountCalls, Label: string(llm.Transient)},
		{Name: ledger.CountWorkers, Label: ledger.LabelWorked}, {Name: ledger.CountWorkers, Label: ledger.LabelEmpty},
		{Name: ledger.CountCost}, {Name: ledger.CountStale},
	}
	values := ledger.Counts{}
	for _, c := range shown {
		values[c] = 0
	}
	for c, n := range all {
		values[c] = n
	}
	for c, n := range values {
		switch c.Name {
		case ledger.CountDocuments:
			out.add("gistmill_documents_total", float64(n), c.Label)
		case ledger.CountCalls:
			out.add("gistmill_calls_total", float64(n), c.Label)
		case ledger.CountTokens:
			out.add("gistmill_tokens_total", float64(n), c.Label)
		case ledger.CountCost:
			out.add("gistmill_cost_usd_total", usd(n))
		case ledger.CountWorkers:
			out.add("gistmill_worker_runs_total", float64(n), c.Label)
		case ledger.CountStale:
			out.add("gistmill_stale_writes_refused_total", float64(n))
		}
	}
}

func (s *server) budgets(f report.Stats, out *sample) {
	for _, b := range f.Budgets {
		used := 0.0
		if b.CapNano != nil {
			out.add("gistmill_budget_usd", usd(*b.CapNano), "run", b.Run)
			used = share(b.SpentNano, *b.CapNano)
		}
		if b.CapTokens != nil {
			used = max(used, share(b.SpentTokens, *b.CapTokens))
		}
		out.add("gistmill_budget_used_ratio", used, "run", b.Run)
	}
	if s.DayCapNano != nil {
		out.add("gistmill_budget_usd", usd(*s.DayCapNano), "day", "")
		out.add("gistmill_budget_used_ratio", share(f.SpentTodayNano, *s.DayCapNano), "day", "")
	}
}

func usd(nano int64) float64 { return float64(nano) / 1e9 }

func share(part, whole int64) float64 {
	if whole <= 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// sourceLabel returns a source's URL without possible secrets: user, password, and parameters whose
// names suggest one. The rest stays unchanged, because alerts identify sources by it.
func sourceLabel(source string) string {
	address, query, _ := strings.Cut(source, "?")
	if scheme, rest, ok := strings.Cut(address, "://"); ok {
		host, path, _ := strings.Cut(rest, "/")
		if at := strings.LastIndex(host, "@"); at >= 0 {
			address = scheme + "://" + host[at+1:] + "/" + path
		}
	}
	var kept []string
	for _, parameter := range strings.Split(query, "&") {
		if name, _, _ := strings.Cut(parameter, "="); name != "" && !isSecretName(name) {
			kept = append(kept, parameter)
		}
	}
	if len(kept) == 0 {
		return address
	}
	return address + "?" + strings.Join(kept, "&")
}

func isSecretName(parameter string) bool {
	name := strings.ToLower(parameter)
	for _, word := range []string{"secret", "token", "password", "passphrase", "sig", "credential", "accesskey", "access_key", "apikey", "api_key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

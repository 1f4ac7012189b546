package telemetry

import (
	"log/slog"
	"net/http"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gistmill/gistmill/internal/llm"
)

const (
	workerDocuments = "gistmill_worker_documents_total"
	callDuration    = "gistmill_call_duration_seconds"
	callWait        = "gistmill_call_wait_seconds"
	heldPartitions  = "gistmill_worker_held_partitions"
)

// workerMetrics returns the metrics of a worker's own process. Those of the Go runtime and of the
// process are served too.
func workerMetrics() []metric {
	return []metric{
		{workerDocuments, counter, []string{"outcome"}, "outcomes of claims (`done`, `dead`, `failed`: will be retried, `crashed`, `released`)", ofSelf},
		{callDuration, 0, []string{"model", "class"}, "histogram of call durations without the wait, by result (`ok`, or the class of the failure)", ofSelf},
		{callWait, 0, []string{"model"}, "histogram of the time that calls waited for the rate limit", ofSelf},
		{heldPartitions, gauge, nil, "partitions that the worker holds", ofSelf},
		{buildInfo, gauge, []string{"version", "goversion"}, buildHelp, ofSelf},
	}
}

// Worker holds a worker's own metrics. It is safe for concurrent use.
type Worker struct {
	registry  *prometheus.Registry
	documents *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	wait      *prometheus.HistogramVec
	log       *slog.Logger
}

// NewWorker returns metrics without any counts. Each scrape calls held for the number of partitions
// that the worker holds.
func NewWorker(version string, held func() int64, log *slog.Logger) *Worker {
	help := map[string]string{}
	for _, m := range workerMetrics() {
		help[m.name] = strings.ReplaceAll(m.help, "`", "")
	}
	w := &Worker{
		registry:  prometheus.NewRegistry(),
		documents: prometheus.NewCounterVec(prometheus.CounterOpts{Name: workerDocuments, Help: help[workerDocuments]}, []string{"outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: callDuration, Help: help[callDuration], Buckets: []float64{0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300},
		}, []string{"model", "class"}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: callWait, Help: help[callWait], Buckets: []float64{0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 60},
		}, []string{"model"}),
		log: log,
	}
	for _, outcome := range []string{"done", "dead", "failed", "crashed", "released"} {
		w.documents.WithLabelValues(outcome)
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: buildInfo, Help: help[buildInfo]}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	w.registry.MustRegister(w.documents, w.duration, w.wait, build,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: heldPartitions, Help: help[heldPartitions]}, func() float64 { return float64(held()) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return w
}

// Metrics returns the handler of the worker's /metrics.
func (w *Worker) Metrics() http.Handler {
	return promhttp.HandlerFor(w.registry, promhttp.HandlerOpts{ErrorLog: promLog{w.log}})
}

func (w *Worker) document(outcome string) { w.documents.WithLabelValues(outcome).Inc() }

func (w *Worker) call(b llm.CallBegin, class string, seconds float64) {
	model := strings.ToValidUTF8(b.Model, "?")
	w.wait.WithLabelValues(model).Observe(b.Waited.Seconds())
	w.duration.WithLabelValues(model, class).Observe(seconds)
}

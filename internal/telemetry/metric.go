// Package telemetry is what others watch gistmill by: the metrics of server and worker, the worker's health, and traces.
//
// It owns the names, labels and meanings of metrics, and how they are read. It refuses to own what they count: the ledger, the
// limiters and the queue are asked through what cmd hands in.
package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// metric is one row of the tables that code, docs/monitoring.md and tests share.
type metric struct {
	name   string
	kind   prometheus.ValueType // of the server's
	labels []string
	help   string
	part   part
}

// part is what a metric is read from, and missing when that can't be read.
type part string

const (
	ofRedis  part = "redis"
	ofLedger part = "ledger"
	ofSelf   part = "process"
)

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// Names that are used in more than one place.
const (
	buildInfo    = "gistmill_build_info"
	buildHelp    = "1, with the version of gistmill and of Go"
	scrapeErrors = "gistmill_scrape_errors_total"
)

// serverMetrics are all that /metrics of the server has. Those of asynq have the names and kinds of its own exporter
// (asynq/x/metrics), for which people have dashboards.
func serverMetrics() []metric {
	queue := []string{"queue"}
	return []metric{
		{"asynq_tasks_enqueued_total", gauge, []string{"queue", "state"}, "tasks that are in the queue now, by state (`active`, `pending`, `scheduled`, `retry`, `archived`, `completed`)", ofRedis},
		{"asynq_queue_size", gauge, queue, "tasks in the queue, whatever their state", ofRedis},
		{"asynq_queue_latency_seconds", gauge, queue, "how long the oldest pending task has been pending", ofRedis},
		{"asynq_queue_memory_usage_approx_bytes", gauge, queue, "memory of Redis that the queue takes, about", ofRedis},
		{"asynq_tasks_processed_total", counter, queue, "tasks that a worker has ended or handed back", ofRedis},
		{"asynq_tasks_failed_total", counter, queue, "tasks that failed to asynq; what fails here are documents, so it stays at 0", ofRedis},
		{"asynq_queue_paused_total", gauge, queue, "1 while the queue is paused", ofRedis},
		{"gistmill_demand", gauge, queue, "partitions that workers are needed for, as `/demand` says", ofRedis},
		{"gistmill_demand_uncapped", gauge, queue, "the same, were there no rate limit and no budget", ofRedis},
		{"gistmill_oldest_pending_seconds", gauge, queue, "how long the oldest pending partition has been pending", ofRedis},
		{"gistmill_limiter_wait_seconds", gauge, []string{"model"}, "how long a call that asks now waits for the rate limit; of several endpoints the longest", ofRedis},
		{"gistmill_limiter_rate", gauge, []string{"model", "unit"}, "limit in force a minute (`requests`, `tokens`): set, announced or learned; missing where none is known", ofRedis},
		{"gistmill_limiter_in_flight", gauge, []string{"model"}, "calls in flight, of all workers; missing while no limit is known", ofRedis},
		{"gistmill_documents_total", counter, []string{"outcome"}, "documents by what became of them (`done`, `dead`, `skipped`), each time that it did", ofLedger},
		{"gistmill_documents_remaining", gauge, nil, "documents of unfinished runs that are to be done, stopped runs' too; above 100,000 in whole partitions", ofLedger},
		{"gistmill_dead_letters", gauge, []string{"class"}, "dead letters that wait for somebody", ofLedger},
		{"gistmill_tokens_total", counter, []string{"direction"}, "tokens of calls (`in`, `out`), as reported", ofLedger},
		{"gistmill_cost_usd_total", counter, nil, "cost of calls whose price is known, in US dollars", ofLedger},
		{"gistmill_calls_total", counter, []string{"class"}, "calls that ended: `ok`, or the class of the failure (`lost`: the worker was killed)", ofLedger},
		{"gistmill_runs", gauge, []string{"state"}, "runs by state (`planning`, `running`, `finished`, `stopped`)", ofLedger},
		{"gistmill_last_enqueue_timestamp_seconds", gauge, []string{"source"}, "when the source was last planned with success, also with nothing new; Unix time", ofLedger},
		{"gistmill_workers", gauge, nil, "workers whose lease holds", ofLedger},
		{"gistmill_worker_runs_total", counter, []string{"result"}, "workers that ended: `worked`, or `empty` when they never had a task", ofLedger},
		{"gistmill_stale_writes_refused_total", counter, nil, "outcomes refused because another worker had taken the document over", ofLedger},
		{"gistmill_budget_usd", gauge, []string{"scope", "run"}, "cap on an unfinished run (`run`), or on the day (`day`; run is empty), in US dollars", ofLedger},
		{"gistmill_budget_used_ratio", gauge, []string{"scope", "run"}, "share of the cap that is spent or reserved; of a run with caps in dollars and tokens the larger", ofLedger},
		{scrapeErrors, counter, []string{"part"}, "scrapes at which a part (`redis`, `ledger`) could not be read in time; its metrics were missing", ofSelf},
		{buildInfo, gauge, []string{"version", "goversion"}, buildHelp, ofSelf},
	}
}

// ServerMarkdown returns the table of server metrics in docs/monitoring.md, one row per metric.
// A test of cmd/gistmill compares the two.
func ServerMarkdown() string { return markdown(serverMetrics()) }

// WorkerMarkdown is that of a worker's own metrics.
func WorkerMarkdown() string { return markdown(workerMetrics()) }

func markdown(all []metric) string {
	var b strings.Builder
	b.WriteString("| metric | labels | meaning |\n|---|---|---|\n")
	for _, m := range all {
		labels := ""
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		b.WriteString("| `" + m.name + "` | " + labels + " | " + m.help + " |\n")
	}
	return b.String()
}

// Package telemetry provides the metrics of server and worker, the worker's liveness probe, and
// traces.
//
// It owns the names, labels and meanings of metrics. It refuses to own what they count: it reads
// ledger, limiters and queue through functions of [ServerConfig].
package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// metric is one row of the tables that code, docs/monitoring.md and tests share.
type metric struct {
	name   string
	kind   prometheus.ValueType // for the server's metrics only
	labels []string
	help   string
	part   part
}

// part is where a metric is read from. If the part cannot be read, the metric is missing.
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

// Names used in more than one place.
const (
	buildInfo    = "gistmill_build_info"
	buildHelp    = "always 1; the labels are the versions of gistmill and Go"
	scrapeErrors = "gistmill_scrape_errors_total"
)

// serverMetrics returns all metrics of the server's /metrics. The asynq_ metrics have the names and
// types of asynq's exporter (asynq/x/metrics), so that existing dashboards work.
func serverMetrics() []metric {
	queue := []string{"queue"}
	return []metric{
		{"asynq_tasks_enqueued_total", gauge, []string{"queue", "state"}, "tasks in the queue by state (`active`, `pending`, `scheduled`, `retry`, `archived`, `completed`)", ofRedis},
		{"asynq_queue_size", gauge, queue, "tasks in the queue in any state", ofRedis},
		{"asynq_queue_latency_seconds", gauge, queue, "age of the oldest pending task", ofRedis},
		{"asynq_queue_memory_usage_approx_bytes", gauge, queue, "approximate memory that the queue takes in Redis", ofRedis},
		{"asynq_tasks_processed_total", counter, queue, "tasks that a worker completed or returned", ofRedis},
		{"asynq_tasks_failed_total", counter, queue, "tasks that failed in asynq; stays 0, because documents fail and tasks do not", ofRedis},
		{"asynq_queue_paused_total", gauge, queue, "1 while the queue is paused", ofRedis},
		{"gistmill_demand", gauge, queue, "partitions that workers could work on now, as in `/demand`", ofRedis},
		{"gistmill_demand_uncapped", gauge, queue, "demand without rate limits and budgets", ofRedis},
		{"gistmill_oldest_pending_seconds", gauge, queue, "age of the oldest pending partition", ofRedis},
		{"gistmill_limiter_wait_seconds", gauge, []string{"model"}, "time that a call made now waits for the rate limit; the longest over all endpoints", ofRedis},
		{"gistmill_limiter_rate", gauge, []string{"model", "unit"}, "rate limit per minute (`requests`, `tokens`): set, announced or learned; missing if no limit is known", ofRedis},
		{"gistmill_limiter_in_flight", gauge, []string{"model"}, "calls in flight in all workers; missing if no limit is known", ofRedis},
		{"gistmill_documents_total", counter, []string{"outcome"}, "documents that became `done`, `dead` or `skipped`; a document counts each time", ofLedger},
		{"gistmill_documents_remaining", gauge, nil, "remaining documents of unfinished runs, including stopped ones; above 100,000 counted in whole partitions", ofLedger},
		{"gistmill_dead_letters", gauge, []string{"class"}, "dead letters by class", ofLedger},
		{"gistmill_tokens_total", counter, []string{"direction"}, "tokens of calls (`in`, `out`) as the endpoint reports them", ofLedger},
		{"gistmill_cost_usd_total", counter, nil, "cost of calls with a known price, in US dollars", ofLedger},
		{"gistmill_calls_total", counter, []string{"class"}, "calls that were sent: `ok`, or the class of the failure (`unavailable`: the endpoint is down; `lost`: the worker was killed)", ofLedger},
		{"gistmill_runs", gauge, []string{"state"}, "runs by state (`planning`, `running`, `finished`, `stopped`)", ofLedger},
		{"gistmill_last_enqueue_timestamp_seconds", gauge, []string{"source"}, "Unix time of the last successful planning of the source, even without new documents", ofLedger},
		{"gistmill_workers", gauge, nil, "workers with a current lease", ofLedger},
		{"gistmill_worker_runs_total", counter, []string{"result"}, "workers that exited: `worked`, or `empty` if they never had a task", ofLedger},
		{"gistmill_stale_writes_refused_total", counter, nil, "stale outcomes that the ledger refused: another worker had taken over the document", ofLedger},
		{"gistmill_budget_usd", gauge, []string{"scope", "run"}, "budget of an unfinished run (scope `run`) or of the day (scope `day`, without a run), in US dollars", ofLedger},
		{"gistmill_budget_used_ratio", gauge, []string{"scope", "run"}, "share of the budget that is spent or reserved; the larger one for a run with budgets in dollars and tokens", ofLedger},
		{scrapeErrors, counter, []string{"part"}, "scrapes that lack the metrics of a part (`redis`, `ledger`), because it could not be read in time", ofSelf},
		{buildInfo, gauge, []string{"version", "goversion"}, buildHelp, ofSelf},
	}
}

// ServerMarkdown returns the table of server metrics in docs/monitoring.md, one row per metric.
// A test of cmd/gistmill compares the two.
func ServerMarkdown() string { return markdown(serverMetrics()) }

// WorkerMarkdown returns the table of a worker's own metrics.
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

//go:build integration

package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// Any server's metrics include the counts of workers whose process has ended.
func TestMetricsOutliveWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", latency(t, "5ms"))
	s.write("notes.jsonl", lines(0, 60))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20", "--budget-usd", "3")[0].Run
	s.run("worker", "--exit-when-idle=2s").WantCode(0)
	s.run("worker", "--exit-when-idle=2s").WantCode(0)
	s.finish(run, patience, programtest.Totals{Total: 60, Done: 60})
	s.enqueue("notes.jsonl")
	v := s.server()
	status, body := v.get("/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics answers %d: %s", status, body)
	}
	for _, line := range []string{
		`gistmill_documents_total{outcome="done"} 60`, `gistmill_documents_total{outcome="skipped"} 60`, `gistmill_documents_remaining 0`,
		`gistmill_calls_total{class="ok"} 60`, `gistmill_runs{state="finished"} 2`, `gistmill_workers 0`,
		`gistmill_worker_runs_total{result="worked"} 1`, `gistmill_worker_runs_total{result="empty"} 1`,
		`gistmill_demand{queue="` + s.queue + `"} 0`, `asynq_queue_size{queue="` + s.queue + `"} 0`, `asynq_tasks_processed_total{queue="` + s.queue + `"} 3`,
		`gistmill_scrape_errors_total{part="ledger"} 0`, `gistmill_scrape_errors_total{part="redis"} 0`,
	} {
		if !strings.Contains(string(body), line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if !strings.Contains(string(body), `gistmill_last_enqueue_timestamp_seconds{source="file://`) {
		t.Error("the last enqueue is missing")
	}
	if t.Failed() {
		t.Log(string(body))
	}
	v.Stop()
}

//go:build integration

package integration

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// One of two workers has a wrong setting: it ends with what to correct, and the other one finishes
// the run. No document loses an attempt, and nothing is paid for the error.
func TestMisconfiguredWorker(t *testing.T) {
	t.Parallel()
	const documents = 240
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	for name, c := range map[string]struct{ setting, value, says string }{
		"wrong key": {"OPENAI_API_KEY", "sk-wrong", "the endpoint refused the API key: check OPENAI_API_KEY"},
		"no key":    {"OPENAI_API_KEY", "", "the endpoint wants an API key: set OPENAI_API_KEY"},
		"wrong URL": {"GISTMILL_BASE_URL", elsewhere.URL, "check --base-url"},
		"no price":  {"GISTMILL_BUDGET_USD_DAY", "1", "--prices FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "", latency(t, "100ms"))
			s.set(func(c *fakellm.Config) { c.Keys = []string{"sk-right"} })
			s.env["OPENAI_API_KEY"] = "sk-right"
			s.write("notes.jsonl", lines(0, documents))
			run := s.enqueue("notes.jsonl", "--partition-documents", "10", "--model", "house-model")[0].Run
			healthy := s.worker("--concurrency", "4", "--partitions", "2")
			healthy.Until("work has begun", func() bool { return s.done() >= 10 })
			right := maps.Clone(s.env)
			s.env[c.setting] = c.value
			bad := s.start("worker")
			s.env = right
			bad.Wait().WantCode(1).Says("other workers work on run "+run, c.says, "start it again")
			if v := s.status(run); v.State != "running" {
				t.Errorf("the run is %s", describe(v))
			}
			s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
			s.paidOnce(documents)
			s.nothingSpent()
			healthy.Stop()
		})
	}
}

// No worker has a key that is accepted: the run is halted, and the workers stay for other runs.
func TestNoWorkerHasTheKey(t *testing.T) {
	t.Parallel()
	const documents = 100
	s := newSite(t, "", nil)
	s.set(func(c *fakellm.Config) { c.Keys = []string{"sk-right"} })
	s.env["OPENAI_API_KEY"] = "sk-wrong"
	s.notes(documents)
	run := s.enqueue("docs", "--partition-documents", "10")[0].Run
	workers := []*programtest.Process{s.worker("--concurrency", "4"), s.worker("--concurrency", "4")}
	s.run("status", run, "--watch").WantCode(1).Says("the endpoint refused the API key")
	if n := s.fake.Stats().Calls; n > 8 {
		t.Errorf("%d calls were made with a wrong key", n)
	}
	if v := s.status(run); v.Documents.Remaining != documents || v.CostUSD == nil || *v.CostUSD != 0 {
		t.Errorf("the run cost something: %s", describe(v))
	}
	for _, w := range workers {
		w.Running()
		w.Stop()
	}
}

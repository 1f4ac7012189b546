//go:build integration

package integration

import (
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// The endpoint accepts calls and answers none. After a few timeouts the breaker opens and only
// probes are sent. No document dies of it.
func TestHangingEndpoint(t *testing.T) {
	t.Parallel()
	const documents, concurrency = 300, 8
	s := newSite(t, "", latency(t, "uniform:20ms-60ms"))
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	worker := s.worker("--concurrency", "8", "--request-timeout", "1s", "--max-attempts", "3")
	worker.Until("work has begun", func() bool { return s.done() >= 40 })
	s.set(latency(t, "1h"))
	worker.Until("the breaker is open", func() bool { return strings.Contains(worker.Stderr.String(), "endpoint does not answer") })
	programtest.Await(t, "an end of the calls in flight", patience, func() bool { return s.fake.Stats().InFlight <= 1 }, nil)
	calls := s.fake.Stats().Calls
	idle(t, worker)
	// Probes come 1 s after the first timeout, then after 2, 4 … s, and each takes a second. One
	// or two calls were already on their way. Without the breaker there would be 40 calls.
	if n := s.fake.Stats().Calls - calls; n > 6 {
		t.Errorf("%d calls in %s to an endpoint that does not answer", n, quiet)
	}
	s.set(latency(t, "5ms"))
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	if d := s.fake.Stats().Duplicates; d != 0 {
		t.Errorf("%d calls were paid twice", d)
	}
	if n := s.count(`SELECT count(*) FROM run_documents WHERE attempts > 2`); n > concurrency {
		t.Errorf("the outage cost %d documents more than one attempt", n)
	}
	worker.Stop()
}

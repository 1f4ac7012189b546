//go:build integration

package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// A worker is frozen for longer than its lease, as by a hypervisor, and resumes when another
// worker has taken over its documents. Its outcomes are refused and counted, its paid answers
// are kept under their names, and the run balances.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	const documents, concurrency = 300, 8
	s := newSite(t, "", latency(t, "uniform:100ms-200ms"))
	console := s.server()
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	frozen := s.worker("--concurrency", "8", "--request-timeout", "5m")
	frozen.Until("some documents are done", func() bool { return s.done() >= 40 })
	frozen.Signal(syscall.SIGSTOP)
	thaw := time.NewTimer(frozenFor)
	another := s.worker("--concurrency", "8")
	another.Until("the frozen worker's documents were taken over", func() bool {
		return strings.Contains(another.Stderr.String(), "claims of a dead worker released") || strings.Contains(console.Stderr.String(), "claims of a dead worker released")
	})
	s.finish(run, ledger.Lease*3, programtest.Totals{Total: documents, Done: documents})
	lost := s.count(`SELECT count(*) FROM calls WHERE class = 'lost'`)
	<-thaw.C
	frozen.Signal(syscall.SIGCONT)
	frozen.Until("its outcomes are refused", func() bool { return strings.Contains(frozen.Stderr.String(), "stale outcome refused") })
	if stats := s.fake.Stats(); stats.Duplicates > inWork(concurrency) {
		t.Errorf("%d calls were paid twice, at most %d were in work", stats.Duplicates, inWork(concurrency))
	}
	frozen.Stop()
	refused := strings.Count(frozen.Stderr.String(), "stale outcome refused")
	_, metrics := console.get("/metrics")
	if line := fmt.Sprintf("gistmill_stale_writes_refused_total %d\n", refused); !strings.Contains(string(metrics), line) {
		t.Errorf("the metrics lack %s", line)
	}
	// Calls that counted as lost have ended after all, with their real cost and their answers. One
	// call record in eight may be reserved ahead (worker/slots.go): if the worker froze before it
	// made that call, the record stays lost.
	if n := s.count(`SELECT count(*) FROM calls WHERE class <> 'ok'`); n > concurrency/8 || lost <= n {
		t.Errorf("%[2]d of %[1]d lost calls were not completed after the worker resumed", lost, n)
	}
	if n := s.count(`SELECT count(*) FROM calls c WHERE class = 'ok' AND NOT EXISTS (SELECT 1 FROM answers a WHERE a.name = c.name)`); n != 0 {
		t.Errorf("the answers to %d calls are not kept", n)
	}
	t.Logf("%d outcomes were refused, %d lost calls were completed", refused, lost)
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	if n := s.count(`SELECT count(*) FROM run_documents WHERE attempts <> 1`); n != 0 {
		t.Errorf("%d documents do not have exactly one attempt", n)
	}
	another.Stop()
	console.Stop()
}

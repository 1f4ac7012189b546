//go:build integration

package integration

import (
	"strings"
	"syscall"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

// A worker is frozen for longer than its lease, as by a hypervisor, and comes back when another one has taken its documents
// over: its outcomes are refused, what it had paid for is kept, and the books balance.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	const documents, concurrency = 300, 8
	s := newSite(t, "", latency(t, "uniform:100ms-200ms"))
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	frozen := s.worker("--concurrency", "8", "--request-timeout", "5m")
	frozen.until("some documents are done", func() bool { return s.done() >= 40 })
	frozen.signal(syscall.SIGSTOP)
	another := s.worker("--concurrency", "8")
	another.until("the frozen worker's documents were taken over", func() bool {
		return strings.Contains(another.Stderr.String(), "claims of a dead worker freed")
	})
	s.finish(run, ledger.Lease*3, totals{Total: documents, Done: documents})
	frozen.signal(syscall.SIGCONT)
	frozen.until("its outcomes are refused", func() bool { return strings.Contains(frozen.Stderr.String(), "stale outcome refused") })
	if stats := s.fake.Stats(); stats.Duplicates > concurrency {
		t.Errorf("%d calls were paid twice, %d were in flight at the most", stats.Duplicates, concurrency)
	}
	frozen.stop()
	s.finish(run, patience, totals{Total: documents, Done: documents})
	if n := s.count(`SELECT count(*) FROM run_documents WHERE attempts <> 1`); n != 0 {
		t.Errorf("%d documents have another number of attempts than one", n)
	}
	another.stop()
}

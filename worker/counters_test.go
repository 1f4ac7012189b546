package worker_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

// After a worker has ended, the ledger has its counters, which also say whether it had work.
func TestCountersReachTheLedger(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(3))
	b.model.answer = func(_ context.Context, prompt string, n int) (llm.Response, error) {
		switch {
		case strings.Contains(prompt, "document 1.") && n == 1:
			return llm.Response{}, &llm.Error{Class: llm.Transient, Status: 500, Message: "out of order"}
		case strings.Contains(prompt, "document 2."):
			return llm.Response{}, &llm.Error{Class: llm.Refused, Message: "no"}
		}
		return llm.Response{}, nil
	}
	b.work(b.plan())
	c := b.config()
	c.IdleExit = 50 * time.Millisecond
	b.ok(b.workerOf(c).Run(t.Context(), t.Context()))
	got, err := b.ledger.Counts(t.Context())
	b.ok(err)
	cost := ledger.Count{Name: ledger.CountCost}
	if got[cost] <= 0 {
		t.Errorf("cost %d", got[cost])
	}
	delete(got, cost)
	want := ledger.Counts{
		{Name: ledger.CountDocuments, Label: ledger.LabelDone}: 2, {Name: ledger.CountDocuments, Label: ledger.LabelDead}: 1,
		{Name: ledger.CountCalls, Label: "ok"}: 2, {Name: ledger.CountCalls, Label: "transient"}: 1, {Name: ledger.CountCalls, Label: "refused"}: 1,
		{Name: ledger.CountTokens, Label: ledger.LabelIn}: 20, {Name: ledger.CountTokens, Label: ledger.LabelOut}: 6,
		{Name: ledger.CountWorkers, Label: ledger.LabelWorked}: 1, {Name: ledger.CountWorkers, Label: ledger.LabelEmpty}: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

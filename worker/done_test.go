package worker_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
)

// Done is called with each document that is done, as the ledger exports it, and with no other.
func TestDoneDocumentsAreReported(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(6))
	b.write("empty.txt", "")
	b.write("equal.txt", documents(6)["doc03.txt"])
	b.model.answer = func(_ context.Context, prompt string, n int) (llm.Response, error) {
		if n == 1 && len(prompt)%2 == 0 {
			return llm.Response{}, &llm.Error{Class: llm.Transient, Message: "once"}
		}
		return llm.Response{}, nil
	}
	var mu sync.Mutex
	var shown []ledger.Exported
	c := b.config()
	c.Done = func(e ledger.Exported) {
		mu.Lock()
		defer mu.Unlock()
		shown = append(shown, e)
	}
	run := b.workAs(b.workerOf(c), b.plan())
	var exported []ledger.Exported
	b.ok(report.New(b.ledger).Summaries(t.Context(), report.SummaryFilter{Run: run.ID}, func(e ledger.Exported) error {
		exported = append(exported, e)
		return nil
	}))
	slices.SortFunc(shown, func(x, y ledger.Exported) int { return cmp.Compare(x.URI, y.URI) })
	// The ledger sets the time.
	if diff := gocmp.Diff(exported, shown, cmpopts.IgnoreFields(ledger.Summary{}, "Created")); diff != "" || len(shown) == 0 {
		t.Errorf("exported (-), shown (+):\n%s", diff)
	}
}

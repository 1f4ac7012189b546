package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

// Documents that wait for a call slot make no call once the run is stopped.
func TestHaltStopsWaitingCalls(t *testing.T) {
	t.Parallel()
	const atOnce = 8 // and one reservation more
	b := setUp(t, documents(24))
	few := b.config()
	few.Concurrency = atOnce
	run := b.plan()
	b.model.answer = func(ctx context.Context, _ string, _ int) (llm.Response, error) {
		for b.model.total() < atOnce || b.claimed(run) < 2*atOnce {
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return llm.Response{}, ctx.Err()
			}
		}
		return llm.Response{}, &llm.Error{Class: llm.Halted, Status: 401, Message: "the key is wrong"}
	}
	run = b.workAs(b.workerOf(few), run)
	b.totals(run, ledger.Totals{Total: 24, Remaining: 24})
	_, account, err := b.ledger.Totals(t.Context(), run.ID)
	b.ok(err)
	if n := b.model.total(); n != atOnce || account.Calls != atOnce {
		t.Errorf("%d calls were made and %d booked, want the %d that were in flight", n, account.Calls, atOnce)
	}
	b.model.answer = nil
	run = b.work(b.plan())
	b.totals(run, ledger.Totals{Total: 24, Done: 24})
}

// claimed counts the claimed documents of a run.
func (b *bench) claimed(run ledger.Run) (n int64) {
	if err := b.ledger.OpenPartitions(b.Context(), run.ID, func(page []ledger.Partition) error {
		for _, p := range page {
			view, err := b.ledger.PartitionStatus(b.Context(), p.ID)
			if err != nil {
				return err
			}
			n += view.Claimed
		}
		return nil
	}); err != nil {
		b.Error(err)
	}
	return n
}

// A halted endpoint does not stop the calls while another endpoint answers.
func TestFallbackOfAHaltedEndpoint(t *testing.T) {
	t.Parallel()
	b := setUp(t, documents(12))
	b.model.answer = func(context.Context, string, int) (llm.Response, error) {
		return llm.Response{}, &llm.Error{Class: llm.Halted, Status: 401, Message: "the key is wrong"}
	}
	two := b.config()
	two.Concurrency = 2
	two.Endpoints = append(two.Endpoints, llm.Endpoint{Client: &model{}})
	run := b.workAs(b.workerOf(two), b.plan())
	b.totals(run, ledger.Totals{Total: 12, Done: 12})
}

package worker_test

import (
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/tasks"
)

// A task of another ledger can name a run whose id exists here too. The worker drops the task.
func TestTaskOfAnotherLedger(t *testing.T) {
	t.Parallel()
	b := setUp(t, map[string]string{"a.txt": "Some text."})
	run := b.plan()
	b.ok(b.recovery().Withdraw(t.Context(), run))
	_, err := b.queue.Enqueue(t.Context(), []tasks.Partition{{Run: "another", RunID: int64(run.ID), ID: 1, Generation: 1, Profile: run.Profile}})
	b.ok(err)
	c := b.config()
	c.IdleExit = 50 * time.Millisecond
	w := b.workerOf(c)
	b.ok(w.Run(t.Context(), t.Context()))
	if n := b.model.total(); n != 0 {
		t.Errorf("%d calls", n)
	}
	b.totals(run, ledger.Totals{Total: 1, Remaining: 1})
}

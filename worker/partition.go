package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/tasks"
)

const (
	// claimBatch limits the documents of one partition that a worker claims at once.
	claimBatch = 64
	// claimRetryAfter is the pause after a claim that failed.
	claimRetryAfter = time.Second
	// holdFor is the longest wait for a retry during which the worker keeps the partition. For
	// a longer one it returns the partition to the queue.
	holdFor = 3 * time.Second
	// misfitAfter is when a task that this worker cannot work on is due again.
	misfitAfter = time.Second
)

// returnError returns the task to the queue, to be delivered again after some time. It uses no
// attempt.
type returnError struct {
	after time.Duration
	why   string
}

func (e *returnError) Error() string { return fmt.Sprintf("returned for %s: %s", e.after, e.why) }

// handle is asynq's handler. It ignores asynq's context, which ends with asynq's lease and so
// also when only Redis is away.
func (w *Worker) handle(_ context.Context, t *asynq.Task) error {
	w.held.Add(1)
	w.worked.Store(true)
	defer w.held.Add(-1)
	p, err := tasks.Decode(t.Payload())
	if err != nil {
		w.log.Error("task not decoded, it stays in the queue", "error", err)
		return &returnError{time.Minute, err.Error()}
	}
	ctx, ended := w.config.Observer.Partition(w.calls, t.Headers(), p.Run, p.ID)
	err = w.partition(ctx, p)
	var returned *returnError
	failed := err != nil && !errors.As(err, &returned)
	ended(failed)
	if failed {
		w.log.Warn("partition returned to the queue", "partition", p.ID, "run", p.Run, "error", err)
		w.stopOnDiskFull(err)
		// While the ledger is away the next task would fail too, and tasks would go in and out
		// of the queue as fast as Redis allows.
		w.pause(w.calls, recovery.Interval)
	}
	return err
}

// dueAgain notes when a task that the worker returned is due.
func (w *Worker) dueAgain(at time.Time) {
	for due := at.UnixNano(); ; {
		last := w.returnedDue.Load()
		if due <= last || w.returnedDue.CompareAndSwap(last, due) {
			return
		}
	}
}

// partition works on a partition until it has no open document or its run stops. It returns a
// *returnError if the partition is better returned to the queue, for example to wait for a
// retry that is due later.
func (w *Worker) partition(ctx context.Context, p tasks.Partition) error {
	if err := w.giveBack(ledger.RunID(p.RunID)); err != nil {
		return err
	}
	r, err := w.runs.get(ctx, p)
	var halt *haltError
	if errors.As(err, &halt) {
		run, findErr := w.ledger.RunByID(ctx, ledger.RunID(p.RunID))
		if findErr != nil {
			return findErr
		}
		w.cannotWork(newOpenRun(ctx, run), byDocument, halted(halt.message))
		return w.partition(ctx, p)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		w.log.Warn("task dropped, its run is not in this ledger", "run", p.Run)
		return nil
	}
	if err != nil {
		return err
	}
	if r.stopped.isSet() {
		return nil // the ledger keeps its partitions
	}
	for {
		if r.stopped.isSet() {
			return w.partition(ctx, p) // it may be running again, and this task may be of that time
		}
		if err := w.giveBack(r.run.ID); err != nil {
			return err
		}
		if w.isDraining() {
			return &returnError{0, "the worker is stopping"}
		}
		claimed, err := w.ledger.Claim(ctx, w.id, ledger.PartitionID(p.ID), claimBatch)
		if err != nil {
			// The ledger may have granted it all the same. releaseOrphans finds such claims at the end.
			w.log.Warn("documents not claimed, retrying", "partition", p.ID, "error", err)
			w.stopOnDiskFull(err)
			w.pause(ctx, claimRetryAfter)
			if ctx.Err() != nil {
				return err
			}
			continue
		}
		w.claims.add(claimed)
		if len(claimed) > 0 {
			w.work(ctx, r, claimed)
			continue
		}
		if done, err := w.noneClaimed(ctx, p); done || err != nil {
			return err
		}
	}
}

// giveBack returns the error that gives a task back to the queue, for others, if this worker cannot
// work on its run. It returns nil if it can, or if the run has stopped meanwhile: the ledger tells
// then whether it is running again, and this is a task of the new generation.
func (w *Worker) giveBack(run ledger.RunID) error {
	m := w.misfits.of(run)
	if m == nil {
		return nil
	}
	select {
	case <-m.decided: // soon, if this worker drains
		if m.over {
			return nil
		}
	case <-time.After(fitnessPoll):
	}
	w.dueAgain(time.Now().Add(misfitAfter))
	return &returnError{misfitAfter, "this worker cannot work on the run"}
}

// overFor reports whether this worker begins nothing of a run any more.
func (w *Worker) overFor(r *openRun) bool { return r.stopped.isSet() || w.misfits.of(r.run.ID) != nil }

// work brings each claimed document to an outcome, as many at once as the process has document
// slots. Suspects come last and have slots of their own, because each may take minutes.
func (w *Worker) work(ctx context.Context, r *openRun, claimed []ledger.Claimed) {
	var all sync.WaitGroup
	defer all.Wait()
	slices.SortStableFunc(claimed, func(a, b ledger.Claimed) int {
		switch {
		case a.Suspect == b.Suspect:
			return 0
		case a.Suspect:
			return 1
		}
		return -1
	})
	for _, c := range claimed {
		slots := w.documentSlots
		if c.Suspect {
			slots = w.suspectSlots
		}
		if !w.takeSlot(ctx, r, slots) {
			w.book(ctx, c, release{})
			continue
		}
		all.Go(func() {
			growStack()
			defer func() { <-slots }()
			ctx, ended := w.config.Observer.Document(ctx, r.run.Name, int64(c.Document))
			o := w.document(ctx, r, c)
			booked := w.book(ctx, c, o)
			ended(outcomeName(o))
			if booked {
				w.reportDone(r, c, o)
			}
		})
	}
}

// growStack gives a new goroutine the stack that a document needs while little is on it.
// Growing it in steps, deep in a call, copies it each time: that took 4 % of the processor
// time of a document with one call.
//
//go:noinline
func growStack() {
	var room [20 << 10]byte
	runtime.KeepAlive(&room)
}

// takeSlot waits for a slot. It returns false if no document of the run may begin any more.
func (w *Worker) takeSlot(ctx context.Context, r *openRun, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		if !w.overFor(r) && !w.isDraining() {
			return true
		}
		<-slots
	case <-w.begins.Done():
	case <-ctx.Done():
	}
	return false
}

// noneClaimed decides what to do with a partition that has nothing to claim now. done means
// that its task is done.
func (w *Worker) noneClaimed(ctx context.Context, p tasks.Partition) (done bool, err error) {
	view, err := w.ledger.PartitionStatus(ctx, ledger.PartitionID(p.ID))
	switch {
	case err != nil:
		return false, err
	case view.Closed, view.RunState != ledger.Running, view.Generation > p.Generation && view.Claimed == 0:
		return true, nil
	case view.Open == 0:
		return true, w.ledger.ClosePartition(ctx, ledger.PartitionID(p.ID))
	case view.NextDue.IsZero(): // all remaining documents are claimed, by other workers or as orphans
		if released, err := w.releaseOrphans(ctx, ledger.PartitionID(p.ID)); err != nil || released {
			return false, err
		}
		w.claimedElsewhere.Store(time.Now().UnixNano())
		return false, &returnError{recovery.Interval, "other workers hold the remaining documents"}
	}
	now, err := w.ledger.Now(ctx)
	if err != nil {
		return false, err
	}
	if wait := view.NextDue.Sub(now); wait > holdFor {
		if wait <= soon {
			w.dueAgain(time.Now().Add(wait))
		}
		return false, &returnError{wait, "a retry is due then"}
	} else if wait > 0 {
		w.pause(ctx, wait)
	}
	return false, nil
}

// pause waits for d, or until the worker drains or ctx ends.
func (w *Worker) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.begins.Done():
	case <-ctx.Done():
	}
}

func (w *Worker) isDraining() bool { return w.begins.Err() != nil }

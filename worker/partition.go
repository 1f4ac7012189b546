package worker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/recovery"
	"github.com/gistmill/gistmill/tasks"
)

const (
	// claimAtOnce bounds the documents of one partition that a worker claims before it begins them.
	claimAtOnce = 64
	// claimAgain is how long a claim waits that the ledger did not take.
	claimAgain = time.Second
)

// handle is asynq's handler. Its context is asynq's and is not used: it ends with asynq's lease, also when only
// Redis is away.
func (w *Worker) handle(_ context.Context, t *asynq.Task) error {
	w.held.Add(1)
	w.worked.Store(true)
	defer w.held.Add(-1)
	p, err := tasks.Decode(t.Payload())
	if err != nil {
		w.Log.Error("task not understood; it stays in the queue", "error", err)
		return &handBackError{time.Minute, err.Error()}
	}
	ctx, ended := w.Observer.Partition(w.calls, t.Headers(), p.Run, p.ID)
	err = w.partition(ctx, p)
	var later *handBackError
	failed := err != nil && !errors.As(err, &later)
	ended(failed)
	if failed {
		w.Log.Warn("partition handed back", "partition", p.ID, "run", p.Run, "error", err)
		w.noteFull(err)
		// The next task from the queue would fare no better while the ledger is away, and all of them would be taken and handed back as fast
		// as Redis can.
		w.pause(w.calls, recovery.Interval)
	}
	return err
}

// partition works on what is due in a partition until nothing of it is left, or it is better handed back.
func (w *Worker) partition(ctx context.Context, p tasks.Partition) error {
	j, err := w.job(ctx, p)
	var halt *haltError
	if errors.As(err, &halt) {
		run, findErr := w.Ledger.RunByID(ctx, ledger.RunID(p.RunID))
		if findErr != nil {
			return findErr
		}
		w.stop(ctx, &job{run: run}, ledger.Halted, halt.message)
		return nil
	}
	if errors.Is(err, ledger.ErrNotFound) {
		w.Log.Warn("task of a run that is not in this ledger dropped", "run", p.Run)
		return nil
	}
	if err != nil {
		return err
	}
	for {
		if j.stopped.Load() {
			return nil // its partitions wait in the ledger
		}
		if w.isDraining() {
			return &handBackError{0, "the worker is stopping"}
		}
		claimed, err := w.Ledger.Claim(ctx, w.id, ledger.PartitionID(p.ID), claimAtOnce)
		if err != nil {
			// It may have been written all the same. Who stays finds in the end what is in nobody's hands.
			w.Log.Warn("documents not claimed, trying again", "partition", p.ID, "error", err)
			w.noteFull(err)
			w.pause(ctx, claimAgain)
			if ctx.Err() != nil {
				return err
			}
			continue
		}
		w.hands.take(claimed)
		if len(claimed) > 0 {
			w.work(ctx, j, claimed)
			continue
		}
		if done, err := w.rest(ctx, p); done || err != nil {
			return err
		}
	}
}

// work brings each claimed document to an outcome, as many at once as there are slots in the process. Suspects come last and have
// slots of their own: each may take minutes.
func (w *Worker) work(ctx context.Context, j *job, claimed []ledger.Claimed) {
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
		slots := w.slots
		if c.Suspect {
			slots = w.suspects
		}
		if !w.takeSlot(ctx, j, slots) {
			w.book(ctx, c, release{})
			continue
		}
		all.Go(func() {
			growStack()
			defer func() { <-slots }()
			ctx, ended := w.Observer.Document(ctx, j.run.Name, int64(c.Document))
			o := w.document(ctx, j, c)
			booked := w.book(ctx, c, o)
			ended(outcomeName(o))
			if booked {
				w.show(j, c, o)
			}
		})
	}
}

// takeSlot waits for a slot; false says that no document of the job is to be begun.
func (w *Worker) takeSlot(ctx context.Context, j *job, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		if !j.stopped.Load() && !w.isDraining() {
			return true
		}
		<-slots
	case <-w.draining:
	case <-ctx.Done():
	}
	return false
}

// rest decides what to do with a partition of which nothing can be claimed now. done says that the task is.
func (w *Worker) rest(ctx context.Context, p tasks.Partition) (done bool, err error) {
	view, err := w.Ledger.Look(ctx, ledger.PartitionID(p.ID))
	switch {
	case err != nil:
		return false, err
	case view.Closed, view.RunState != ledger.Running, view.Generation > p.Generation && view.Claimed == 0:
		return true, nil
	case view.Open == 0:
		return true, w.Ledger.ClosePartition(ctx, ledger.PartitionID(p.ID))
	case view.NextDue.IsZero(): // all that is left is in other hands, or in none
		if freed, err := w.freeStrays(ctx, ledger.PartitionID(p.ID)); err != nil || freed {
			return false, err
		}
		w.elsewhere.Store(time.Now().UnixNano())
		return false, &handBackError{recovery.Interval, "the rest is claimed by another worker"}
	}
	now, err := w.Ledger.Now(ctx)
	if err != nil {
		return false, err
	}
	if wait := view.NextDue.Sub(now); wait > holdFor {
		return false, &handBackError{wait, "a retry is due then"}
	} else if wait > 0 {
		w.pause(ctx, wait)
	}
	return false, nil
}

// pause ends early when the worker is to stop.
func (w *Worker) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.draining:
	case <-ctx.Done():
	}
}

func (w *Worker) isDraining() bool {
	select {
	case <-w.draining:
		return true
	default:
		return false
	}
}

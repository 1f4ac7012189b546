package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/tasks"
)

// confirmLostAfter is the time between the two checks of [Recovery.Reconcile].
const confirmLostAfter = 3 * time.Second

// EnqueueMissing enqueues the run's open partitions that have no task in the queue, and
// returns how many. Set mayBeClaimed unless the run is new: a partition whose documents a
// worker holds then gets no task, and one without remaining documents is closed.
func (r *Recovery) EnqueueMissing(ctx context.Context, run ledger.Run, mayBeClaimed bool) (int, error) {
	total := 0
	err := r.ledger.OpenPartitions(ctx, run.ID, func(page []ledger.Partition) error {
		lost, err := r.lostTasks(ctx, run, page)
		if err != nil {
			return err
		}
		n, err := r.enqueue(ctx, run, lost, mayBeClaimed)
		total += n
		return err
	})
	return total, err
}

// Reconcile enqueues lost tasks of all running runs, and returns how many. A task counts as
// lost when two checks, 3 s apart, find the partition open and the task gone. After Redis was
// flushed, everything comes back. Reconcile also finishes runs whose last worker died before
// it could.
func (r *Recovery) Reconcile(ctx context.Context) (int, error) {
	runs, err := r.ledger.RunningRuns(ctx)
	if err != nil {
		return 0, fmt.Errorf("reconcile: %w", err)
	}
	candidates := map[ledger.Partition]tasks.State{}
	for _, run := range runs {
		// The run's last worker may have died between its last outcome and the end of the run.
		if _, err := r.ledger.FinishRun(ctx, run.ID); err != nil {
			return 0, err
		}
		if err := r.ledger.OpenPartitions(ctx, run.ID, func(page []ledger.Partition) error {
			lost, err := r.lostTasks(ctx, run, page)
			for _, l := range lost {
				candidates[l.partition] = l.state
			}
			return err
		}); err != nil {
			return 0, err
		}
	}
	if len(candidates) == 0 {
		return 0, nil
	}
	if err := loop.Sleep(ctx, confirmLostAfter); err != nil {
		return 0, err
	}
	total := 0
	for _, run := range runs {
		if err := r.ledger.OpenPartitions(ctx, run.ID, func(page []ledger.Partition) error {
			lost, err := r.lostTasks(ctx, run, page)
			if err != nil {
				return err
			}
			still := lost[:0]
			for _, l := range lost {
				if before, ok := candidates[l.partition]; ok && before == l.state {
					still = append(still, l)
				}
			}
			n, err := r.enqueue(ctx, run, still, true)
			total += n
			return err
		}); err != nil {
			return total, err
		}
	}
	if total > 0 {
		r.log.Info("lost tasks enqueued again", "tasks", total)
	}
	return total, nil
}

// Restart continues runs that stopped because of a quota that has reset by now, and enqueues their
// tasks.
func (r *Recovery) Restart(ctx context.Context) error {
	runs, err := r.ledger.Restart(ctx)
	for _, run := range runs {
		r.log.Info("run continues, its quota has reset", "run", run.Name)
		if _, missing := r.EnqueueMissing(ctx, run, true); missing != nil { // Reconcile tries again
			err = errors.Join(err, missing)
		}
	}
	return err
}

// Withdraw removes a stopped run's tasks from the queue. Its partitions stay in the ledger.
func (r *Recovery) Withdraw(ctx context.Context, run ledger.Run) error {
	return r.ledger.ReadyPartitions(ctx, run.ID, func(page []ledger.Partition) error {
		all := make([]tasks.Partition, len(page))
		for i, p := range page {
			all[i] = task(run, p)
		}
		return r.queue.Remove(ctx, all)
	})
}

// lostTask is an open partition whose current generation has no live task.
type lostTask struct {
	partition ledger.Partition
	state     tasks.State
}

func (r *Recovery) lostTasks(ctx context.Context, run ledger.Run, page []ledger.Partition) ([]lostTask, error) {
	ids := make([]string, len(page))
	for i, p := range page {
		ids[i] = task(run, p).TaskID()
	}
	states, err := r.queue.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	var lost []lostTask
	for i, s := range states {
		switch s {
		case tasks.Missing, tasks.Archived, tasks.Completed:
			lost = append(lost, lostTask{page[i], s})
		default: // live, or leaseless: RecoverDeadWorkers puts the latter back
		}
	}
	return lost, nil
}

func (r *Recovery) enqueue(ctx context.Context, run ledger.Run, lost []lostTask, mayBeClaimed bool) (int, error) {
	var all []tasks.Partition
	for _, l := range lost {
		if mayBeClaimed {
			view, err := r.ledger.PartitionStatus(ctx, l.partition.ID)
			if err != nil {
				return 0, err
			}
			if view.Closed || view.Claimed > 0 {
				continue
			}
			if view.Open == 0 {
				if err := r.ledger.ClosePartition(ctx, l.partition.ID); err != nil {
					return 0, err
				}
				continue
			}
		}
		if l.state != tasks.Missing { // an ended task still has the id
			var err error
			if l.partition.Generation, err = r.ledger.NextGeneration(ctx, l.partition.ID, l.partition.Generation); err != nil {
				return 0, err
			}
		}
		all = append(all, task(run, l.partition))
	}
	return r.queue.Enqueue(ctx, all)
}

func task(run ledger.Run, p ledger.Partition) tasks.Partition {
	return tasks.Partition{Run: run.Name, RunID: int64(run.ID), ID: int64(p.ID), Generation: p.Generation, Profile: run.Profile}
}

package enqueuer

import (
	"context"
	"fmt"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/tasks"
)

// Put enqueues what a run has open and the queue lacks, and returns how many tasks that were. careful looks first
// whether a worker still holds the partition, which in a new run none can.
func (e *Enqueuer) Put(ctx context.Context, run ledger.Run, careful bool) (int, error) {
	total := 0
	err := e.Ledger.OpenPartitions(ctx, run.Num, func(page []ledger.Partition) error {
		lost, err := e.lost(ctx, run, page)
		if err != nil {
			return err
		}
		n, err := e.putBack(ctx, run, lost, careful)
		total += n
		return err
	})
	return total, err
}

// Reconcile enqueues again what is planned and unfinished in any running run, and whose task is nowhere in the queue
// in two looks some seconds apart: after a flushed Redis everything comes back. It returns how many tasks that were.
func (e *Enqueuer) Reconcile(ctx context.Context) (int, error) {
	runs, err := e.Ledger.RunningRuns(ctx)
	if err != nil {
		return 0, fmt.Errorf("reconcile: %w", err)
	}
	suspects := map[ledger.Partition]tasks.State{}
	for _, run := range runs {
		// A run whose last worker died between its last outcome and the end of the run is finished here.
		if _, err := e.Ledger.FinishRun(ctx, run.Num); err != nil {
			return 0, err
		}
		if err := e.Ledger.OpenPartitions(ctx, run.Num, func(page []ledger.Partition) error {
			lost, err := e.lost(ctx, run, page)
			for _, l := range lost {
				suspects[l.partition] = l.state
			}
			return err
		}); err != nil {
			return 0, err
		}
	}
	if len(suspects) == 0 {
		return 0, nil
	}
	if err := sleep(ctx, lookAgain); err != nil {
		return 0, err
	}
	total := 0
	for _, run := range runs {
		if err := e.Ledger.OpenPartitions(ctx, run.Num, func(page []ledger.Partition) error {
			lost, err := e.lost(ctx, run, page)
			if err != nil {
				return err
			}
			still := lost[:0]
			for _, l := range lost {
				if before, ok := suspects[l.partition]; ok && before == l.state {
					still = append(still, l)
				}
			}
			n, err := e.putBack(ctx, run, still, true)
			total += n
			return err
		}); err != nil {
			return total, err
		}
	}
	if total > 0 {
		e.Log.Info("lost tasks enqueued again", "tasks", total)
	}
	return total, nil
}

// lostTask is an open partition of whose current generation no task is alive.
type lostTask struct {
	partition ledger.Partition
	state     tasks.State
}

func (e *Enqueuer) lost(ctx context.Context, run ledger.Run, page []ledger.Partition) ([]lostTask, error) {
	ids := make([]string, len(page))
	for i, p := range page {
		ids[i] = task(run, p).TaskID()
	}
	states, err := e.Queue.States(ctx, ids)
	if err != nil {
		return nil, err
	}
	var lost []lostTask
	for i, s := range states {
		switch s {
		case tasks.Missing, tasks.Archived, tasks.Completed:
			lost = append(lost, lostTask{page[i], s})
		default: // alive, or leaseless: workers put those back themselves
		}
	}
	return lost, nil
}

func (e *Enqueuer) putBack(ctx context.Context, run ledger.Run, lost []lostTask, careful bool) (int, error) {
	var all []tasks.Partition
	for _, l := range lost {
		if careful {
			view, err := e.Ledger.Look(ctx, l.partition.ID)
			if err != nil {
				return 0, err
			}
			if view.Closed || view.Claimed > 0 {
				continue
			}
			if view.Open == 0 {
				if err := e.Ledger.ClosePartition(ctx, l.partition.ID); err != nil {
					return 0, err
				}
				continue
			}
		}
		if l.state != tasks.Missing {
			var err error
			if l.partition.Generation, err = e.Ledger.NextGeneration(ctx, l.partition.ID, l.partition.Generation); err != nil {
				return 0, err
			}
		}
		all = append(all, task(run, l.partition))
	}
	return e.Queue.Enqueue(ctx, all)
}

// Withdraw takes a stopped run's tasks out of the queue; its partitions wait in the ledger.
func (e *Enqueuer) Withdraw(ctx context.Context, run ledger.Run) error {
	return e.Ledger.ReadyPartitions(ctx, run.Num, func(page []ledger.Partition) error {
		all := make([]tasks.Partition, len(page))
		for i, p := range page {
			all[i] = task(run, p)
		}
		return e.Queue.Remove(ctx, all)
	})
}

func task(run ledger.Run, p ledger.Partition) tasks.Partition {
	return tasks.Partition{Run: run.Name, RunNum: run.Num, ID: p.ID, Generation: p.Generation, Profile: run.Profile}
}

package worker

import (
	"context"
	"time"
)

// renew keeps the worker's lease, and with it all its claims.
func (w *Worker) renew(ctx context.Context) {
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, renewEvery)
		err := w.Ledger.Renew(short, w.id)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		w.Log.Warn("the lease was not renewed, trying again", "error", err)
		sleep(ctx, time.Second)
	}
}

// recoverLoop frees what dead workers held: their claims in the ledger, their tasks in the queue. asynq alone takes up to
// 125 s for the latter.
func (w *Worker) recoverLoop(ctx context.Context) {
	leaseless := map[string]bool{} // at the last look
	every(ctx, recoverEvery, func(ctx context.Context) {
		freed, err := w.Ledger.RecoverLapsed(ctx)
		if err != nil {
			w.logUnlessDone(ctx, "look for lapsed claims", err)
		}
		for _, p := range freed {
			w.Log.Info("claims of a dead worker freed", "partition", p.ID)
		}
		seen := map[string]bool{}
		n, err := w.Queue.RecoverLapsed(ctx, func(id string) bool {
			seen[id] = true
			return leaseless[id]
		})
		leaseless = seen
		if err != nil {
			w.logUnlessDone(ctx, "look for lapsed tasks", err)
		}
		if n > 0 {
			w.Log.Info("tasks of a dead worker put back", "tasks", n)
		}
	})
}

// idleLoop closes idle when there was nothing to do for IdleExit: no task here, none ready, none held by a dead worker.
func (w *Worker) idleLoop(ctx context.Context, idle chan<- struct{}) {
	if w.IdleExit <= 0 {
		return
	}
	tick := min(time.Second, w.IdleExit/2)
	since := time.Now()
	for sleep(ctx, tick) {
		if w.held.Load() > 0 {
			since = time.Now()
			continue
		}
		waiting, err := w.Queue.Waiting(ctx)
		if err != nil || waiting.Ready > 0 || waiting.Leaseless > 0 {
			since = time.Now()
			continue
		}
		if time.Since(since) >= w.IdleExit {
			close(idle)
			return
		}
	}
}

// logUnlessDone logs that a step which is done again and again has failed.
func (w *Worker) logUnlessDone(ctx context.Context, step string, err error) {
	if ctx.Err() == nil {
		w.Log.Warn("failed, and tried again soon", "step", step, "error", err)
	}
}

// sleep says whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

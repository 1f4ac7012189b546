package worker

import (
	"context"
	"time"

	"github.com/gistmill/gistmill/internal/recovery"
)

// renew keeps the worker's lease, and with it all its claims, and tells the ledger what was counted meanwhile.
func (w *Worker) renew(ctx context.Context) {
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(ctx, renewEvery)
		news := w.tally.news()
		err := w.Ledger.Renew(short, w.id, news)
		cancel()
		if err == nil {
			w.tally.told(news)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		w.Log.Warn("the lease was not renewed, trying again", "error", err)
		sleep(ctx, time.Second)
	}
}

// recoverLoop frees what dead workers held.
func (w *Worker) recoverLoop(ctx context.Context) {
	w.every(ctx, "recover what dead workers held", recovery.Interval, func(ctx context.Context) {
		if err := w.recovery.RecoverDeadWorkers(ctx); err != nil {
			w.logUnlessDone(ctx, "look for what dead workers held", err)
		}
	})
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

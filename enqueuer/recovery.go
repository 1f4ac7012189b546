package enqueuer

import (
	"context"
	"errors"
	"fmt"
)

// Recovery frees what dead workers held: their claims in the ledger and their tasks in the queue, for which asynq alone takes up to 125 s and
// needs a worker. It is for one caller at a time; any number of processes may have one.
type Recovery struct {
	enqueuer *Enqueuer
	// At the last look:
	lapsed    map[int64]bool // workers
	leaseless map[string]bool
}

// NewRecovery has seen nothing yet.
func (e *Enqueuer) NewRecovery() *Recovery { return &Recovery{enqueuer: e} }

// Look frees what is found; it is to be called every few seconds. The claims of a worker whose lease has lapsed are freed, and a task
// that is active without any lease is put back, when two looks have seen it so.
func (r *Recovery) Look(ctx context.Context) error {
	e := r.enqueuer
	lapsed := map[int64]bool{}
	freed, ledgerErr := e.Ledger.RecoverLapsed(ctx, func(worker int64) bool {
		lapsed[worker] = true
		return r.lapsed[worker]
	})
	r.lapsed = lapsed
	if ledgerErr != nil {
		ledgerErr = fmt.Errorf("free lapsed claims: %w", ledgerErr)
	}
	for _, p := range freed {
		e.Log.Info("claims of a dead worker freed", "partition", p.ID)
	}
	seen := map[string]bool{}
	n, queueErr := e.Queue.RecoverLapsed(ctx, func(id string) bool {
		seen[id] = true
		return r.leaseless[id]
	})
	r.leaseless = seen
	if n > 0 {
		e.Log.Info("tasks of a dead worker put back", "tasks", n)
	}
	return errors.Join(ledgerErr, queueErr)
}

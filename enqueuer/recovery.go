package enqueuer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// apart is the least time between two looks that count as two: those who live have renewed by then. A look that was late, as after an
// outage of the ledger, is followed by the next one at once.
const apart = 4 * time.Second

// Recovery frees what dead workers held: their claims in the ledger and their tasks in the queue, for which asynq alone takes up to 125 s and
// needs a worker. It is for one caller at a time; any number of processes may have one.
type Recovery struct {
	enqueuer *Enqueuer
	now      func() time.Time
	// What was seen at the last look, and since when at each before it:
	lapsed    map[int64]time.Time // workers
	leaseless map[string]time.Time
}

// NewRecovery has seen nothing yet. now is time.Now, but for tests.
func (e *Enqueuer) NewRecovery(now func() time.Time) *Recovery {
	return &Recovery{enqueuer: e, now: now}
}

// Look frees what is found; it is to be called every few seconds. The claims of a worker whose lease has lapsed are freed, and a task
// that is active without any lease is put back, when two looks at least 4 s apart, and all between them, have seen it so.
func (r *Recovery) Look(ctx context.Context) error {
	e := r.enqueuer
	lapsed := map[int64]time.Time{}
	freed, ledgerErr := e.Ledger.RecoverLapsed(ctx, func(worker int64) bool { return again(worker, r.lapsed, lapsed, r.now()) })
	r.lapsed = lapsed
	if ledgerErr != nil {
		ledgerErr = fmt.Errorf("free lapsed claims: %w", ledgerErr)
	}
	for _, p := range freed {
		e.Log.Info("claims of a dead worker freed", "partition", p.ID)
	}
	leaseless := map[string]time.Time{}
	n, queueErr := e.Queue.RecoverLapsed(ctx, func(id string) bool { return again(id, r.leaseless, leaseless, r.now()) })
	r.leaseless = leaseless
	if n > 0 {
		e.Log.Info("tasks of a dead worker put back", "tasks", n)
	}
	return errors.Join(ledgerErr, queueErr)
}

// again notes in seen that something is seen now, and tells whether it has been since long enough.
func again[K comparable](what K, before, seen map[K]time.Time, now time.Time) bool {
	since, ok := before[what]
	if !ok {
		since = now
	}
	seen[what] = since
	return now.Sub(since) >= apart
}

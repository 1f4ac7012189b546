package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/process"
)

// confirmDeadAfter is how long a worker or task must look dead before it counts as dead. After
// an outage of the ledger every lease has lapsed, and live workers renew theirs within this
// time: they retry every second. A count of polls would not do, because after a late poll,
// such as the first one after the outage, the next one follows at once.
const confirmDeadAfter = 4 * time.Second

// endDeadProcesses ends the leases of workers whose process ran on this machine and has certainly
// ended. It returns them: they need no second look.
func (r *Recovery) endDeadProcesses(ctx context.Context) (map[ledger.WorkerID]bool, error) {
	leased, err := r.ledger.LeasedProcesses(ctx)
	if err != nil {
		return nil, err
	}
	ended := map[ledger.WorkerID]bool{}
	for worker, identity := range leased {
		if !process.Ended(identity) {
			continue
		}
		if err := r.ledger.ExpireLease(ctx, worker, identity); err != nil {
			return ended, err
		}
		ended[worker] = true
	}
	return ended, nil
}

// RecoverDeadWorkers releases the claims of workers whose lease has lapsed in the ledger, and
// puts active tasks whose lease in Redis has lapsed or is missing back into the queue. It
// releases claims, and puts back a task without any lease, only after it has found them so in
// every call for 4 s; call it every few seconds. A worker whose process is known to have ended on
// this machine is released at once. asynq alone takes up to 125 s to put a task
// back, and needs a live worker for it.
func (r *Recovery) RecoverDeadWorkers(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	lapsed := map[ledger.WorkerID]time.Time{}
	ended, endErr := r.endDeadProcesses(ctx)
	released, ledgerErr := r.ledger.RecoverLapsed(ctx, func(worker ledger.WorkerID) bool {
		return ended[worker] || confirmed(worker, r.lapsed, lapsed, r.now())
	})
	ledgerErr = errors.Join(endErr, ledgerErr)
	r.lapsed = lapsed
	if ledgerErr != nil {
		ledgerErr = fmt.Errorf("release lapsed claims: %w", ledgerErr)
	}
	for _, p := range released {
		r.log.Info("claims of a dead worker released", "partition", p.ID)
	}
	leaseless := map[string]time.Time{}
	n, queueErr := r.queue.RecoverLapsed(ctx, func(id string) bool {
		return confirmed(id, r.leaseless, leaseless, r.now())
	})
	r.leaseless = leaseless
	if n > 0 {
		r.log.Info("tasks of a dead worker put back", "tasks", n)
	}
	return errors.Join(ledgerErr, queueErr)
}

// confirmed notes in seen that id looks dead now, and reports whether it has for long enough.
// before is what the last poll noted.
func confirmed[K comparable](id K, before, seen map[K]time.Time, now time.Time) bool {
	since, ok := before[id]
	if !ok {
		since = now
	}
	seen[id] = since
	return now.Sub(since) >= confirmDeadAfter
}

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

// RecoverDeadWorkers releases the claims of workers that are dead by the ledger, and puts active
// tasks whose lease in Redis has lapsed or is missing back into the queue; call it every few
// seconds. A worker is dead as soon as its process is known to have ended on this machine. Any
// other worker whose lease has lapsed, and a task without any lease, counts as dead only after it
// was found so in every call for 4 s. asynq alone takes up to 125 s to put a task back, and needs a
// live worker for it.
func (r *Recovery) RecoverDeadWorkers(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	lapsed := map[ledger.WorkerID]time.Time{}
	released, ledgerErr := r.ledger.RecoverLapsed(ctx, func(worker ledger.WorkerID, identity string, isLapsed bool) bool {
		return process.Ended(identity) || isLapsed && confirmed(worker, r.lapsed, lapsed, r.now())
	})
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

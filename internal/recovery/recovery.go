// Package recovery keeps the queue in step with the ledger.
//
// It owns three things: releasing what dead workers hold, enqueueing tasks that the queue
// lacks, and the rule that one queue belongs to one ledger. It refuses to own how a run is
// planned (enqueuer), what a task does (worker), and each change itself (internal/ledger,
// tasks).
package recovery

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/tasks"
)

const (
	// Interval is the time between two calls of [Recovery.RecoverDeadWorkers].
	Interval = 5 * time.Second
	// reconcileInterval is the time between two calls of [Recovery.Reconcile].
	reconcileInterval = 30 * time.Second
	// restartInterval is the time between two calls of [Recovery.Restart].
	restartInterval = 10 * time.Second
)

// Recovery compares a queue with its ledger and repairs the queue. It is safe for concurrent
// use, and any number of processes may have one.
type Recovery struct {
	ledger *ledger.Ledger
	queue  *tasks.Queue
	log    *slog.Logger
	now    func() time.Time // time.Now, except in tests

	mu sync.Mutex
	// Since when each has looked dead in every call of RecoverDeadWorkers.
	lapsed    map[ledger.WorkerID]time.Time // workers without a lease in the ledger
	leaseless map[string]time.Time          // active tasks without a lease in Redis
}

// New returns the recovery of a ledger and its queue. A nil log discards messages.
func New(l *ledger.Ledger, q *tasks.Queue, log *slog.Logger) *Recovery {
	return &Recovery{ledger: l, queue: q, log: cmp.Or(log, slog.New(slog.DiscardHandler)), now: time.Now}
}

// Run recovers dead workers, reconciles the queue, continues runs whose quota has reset and
// verifies the queue's owner, each at its interval, until ctx ends; then it returns nil. It returns
// an *[OtherLedgerError] as soon as the queue belongs to another ledger. Other errors are logged,
// and the step is retried.
func (r *Recovery) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return r.WatchQueueOwner(ctx) })
	all.Go(func() error {
		loop.Every(ctx, Interval, loop.Report(r.log, "recover dead workers", r.RecoverDeadWorkers))
		return nil
	})
	all.Go(func() error {
		loop.Every(ctx, reconcileInterval, loop.Report(r.log, "reconcile the queue", func(ctx context.Context) error {
			_, err := r.Reconcile(ctx)
			return err
		}))
		return nil
	})
	all.Go(func() error {
		loop.Every(ctx, restartInterval, loop.Report(r.log, "continue runs whose quota has reset", r.Restart))
		return nil
	})
	return all.Wait()
}

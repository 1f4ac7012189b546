package worker

import (
	"context"
	"time"

	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/internal/recovery"
)

const (
	// startupGrace is how long a worker that never had a task waits for one. Other workers
	// have taken the work it was started for.
	startupGrace = 3 * time.Second
	// renewalGrace is the time within which a live worker renews a task's lease: asynq's
	// interval of 5 s, and some slack.
	renewalGrace = 8 * time.Second
	// livenessWindow is how long the workers that hold tasks must have been seen alive. The lease
	// of a worker that was just killed looks live until a renewal is missing.
	livenessWindow = renewalGrace
	// soon is the longest wait for a retry during which the worker that returned the task stays. A
	// new worker takes about as long to start.
	soon = 30 * time.Second
	// deliveryGrace is the time until a task that is due is delivered.
	deliveryGrace = 8 * time.Second
	// redeliveryGrace is the time until a task that was returned because other workers hold
	// its documents is delivered again.
	redeliveryGrace = recovery.Interval + 3*time.Second
)

// Reasons why a worker exits without being stopped.
const (
	reasonIdle        = "idle"
	reasonStuckReader = "stuck_reader"
	reasonNoAnswer    = "no_answer"
)

// idleLoop sends the reason once the worker should exit.
//
// The worker is idle when it has had nothing to do for IdleExit: it holds no task, the queue
// offers none, no task that it returned itself is due within 30 s, every active task is held
// by a live worker, and it waits for no task that it returned because other workers hold the
// documents (redeliveryGrace). If the holder of a task may be dead the worker stays, because
// it may be the only one left to recover the task. While others hold tasks it therefore stays
// at least livenessWindow. A worker also exits when a reader is stuck in its process: where
// there is work, KEDA replaces it with a healthy one.
func (w *Worker) idleLoop(ctx context.Context, exit chan<- string) {
	if w.config.IdleExit <= 0 {
		return
	}
	patience := min(w.config.IdleExit, startupGrace)
	tick := min(time.Second, patience/2)
	idleSince := time.Now()
	liveSince := idleSince // all workers that hold tasks have been seen alive since then
	var others taskLeases
	for loop.Sleep(ctx, tick) == nil {
		if w.config.Reader.Stuck() > 0 {
			exit <- reasonStuckReader
			return
		}
		if w.held.Load() > 0 {
			idleSince, liveSince, patience = time.Now(), time.Now(), w.config.IdleExit
			continue
		}
		counts, err := w.config.Queue.Count(ctx)
		if err != nil || counts.Ready() > 0 || time.Now().Before(time.Unix(0, w.returnedDue.Load()).Add(deliveryGrace)) || time.Since(time.Unix(0, w.claimedElsewhere.Load())) < redeliveryGrace {
			idleSince, liveSince = time.Now(), time.Now()
			continue
		}
		if !others.live(counts.Doubtful, time.Now()) {
			liveSince = time.Now()
		}
		if time.Since(idleSince) >= patience && (counts.Active == 0 || time.Since(liveSince) >= livenessWindow) {
			if later := counts.Retry + counts.Scheduled; later > 0 {
				w.log.Info("idle: leaving, tasks are due later", "tasks", later)
			}
			exit <- reasonIdle
			return
		}
	}
}

// taskLeases remembers the doubtful leases of the last poll by task, to see which are renewed.
// The zero value remembers none.
type taskLeases map[string]taskLease

type taskLease struct{ end, renewedAt time.Time }

// live reports whether each doubtful lease was renewed within the last renewalGrace. Call it at
// every poll, with the ends of the doubtful leases.
func (t *taskLeases) live(doubtful map[string]time.Time, now time.Time) bool {
	next := make(taskLeases, len(doubtful))
	live := true
	for id, end := range doubtful {
		l, known := (*t)[id]
		if known && end.After(l.end) {
			l.renewedAt = now
		}
		l.end = end
		next[id] = l
		live = live && now.Sub(l.renewedAt) < renewalGrace
	}
	*t = next
	return live
}

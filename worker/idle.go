package worker

import (
	"context"
	"time"

	"github.com/gistmill/gistmill/internal/recovery"
)

const (
	// forNothing is how long a worker that got no task at all looks for one: it was started for work that others took.
	forNothing = 3 * time.Second
	// grownWithin is a renewal of a lease by asynq, which comes every 5 s, and some slack.
	grownWithin = 8 * time.Second
	// seenFor is how long the holders of all other tasks must have been seen alive: the lease of one that was killed a moment ago looks
	// like that of a living one until the next renewal does not come.
	seenFor = grownWithin
	// backWithin is when a task that was handed back, because others have its documents, has come again.
	backWithin = recovery.Interval + 3*time.Second
)

// idleLoop closes idle when there was nothing to do for IdleExit: no task here, none that could be taken, and none whose holder, of it or of its
// documents, may be dead. In the last case the worker stays to recover it, for no other may be there to do so. While others hold tasks it
// therefore stays at least seenFor. A worker that is to end by itself is replaced where there is work, so it also makes room for a sound
// one when a reader is stuck in it.
func (w *Worker) idleLoop(ctx context.Context, idle chan<- struct{}) {
	if w.IdleExit <= 0 {
		return
	}
	patience := min(w.IdleExit, forNothing)
	tick := min(time.Second, patience/2)
	since := time.Now()
	watched := since // from when on all others were seen alive
	var others holders
	for sleep(ctx, tick) {
		if w.Reader.Stuck() > 0 {
			close(idle)
			return
		}
		if w.held.Load() > 0 {
			since, watched, patience = time.Now(), time.Now(), w.IdleExit
			continue
		}
		counts, err := w.Queue.Count(ctx)
		if err != nil || counts.Ready() > 0 || time.Since(time.Unix(0, w.elsewhere.Load())) < backWithin {
			since, watched = time.Now(), time.Now()
			continue
		}
		if !others.alive(counts.Doubtful, time.Now()) {
			watched = time.Now()
		}
		if time.Since(since) >= patience && (counts.Active == 0 || time.Since(watched) >= seenFor) {
			close(idle)
			return
		}
	}
}

// holders remembers the leases that were doubtful at the last look, to see whether they grow. The zero value remembers none.
type holders map[string]lease

type lease struct{ end, grew time.Time }

// alive says whether all holders are seen to renew their leases. It is to be asked at every look.
func (h *holders) alive(doubtful map[string]time.Time, now time.Time) bool {
	next := make(holders, len(doubtful))
	alive := true
	for id, end := range doubtful {
		l, known := (*h)[id]
		if known && end.After(l.end) {
			l.grew = now
		}
		l.end = end
		next[id] = l
		alive = alive && now.Sub(l.grew) < grownWithin
	}
	*h = next
	return alive
}

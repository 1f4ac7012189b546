package worker

import (
	"context"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
)

const (
	// waitsEvery is how often the worker checks what it waits for.
	waitsEvery = time.Second
	// waitShownAfter is how long calls wait for a rate limit until the wait is reported: with any
	// limit each call waits for a moment.
	waitShownAfter = time.Second
	// waitGap is the time without a waiting call after which a new wait begins.
	waitGap = 2 * time.Second
	// waitRewrite is the least time between two reports of a wait of which only the end has changed,
	// until that end.
	waitRewrite = 5 * time.Second
	// warnOfWait is the length from which a wait is a warning, and warnOfWaitEvery how often.
	warnOfWait      = time.Minute
	warnOfWaitEvery = 10 * time.Minute
)

// waits is what the calls and documents of this worker wait for. The methods are safe for
// concurrent use.
type waits struct {
	mu    sync.Mutex
	calls map[any]ledger.Wait // waiting now, by what waits
	docs  map[ledger.WaitReason]ledger.Wait
	since map[ledger.WaitReason]time.Time // begin of an uninterrupted wait
	last  map[ledger.WaitReason]time.Time // when the wait was last seen

	written   *ledger.Wait // what was last written, or should have been
	writtenAt time.Time
	unwritten bool // that write failed
	warned    time.Time
}

func newWaits() *waits {
	return &waits{
		calls: map[any]ledger.Wait{}, docs: map[ledger.WaitReason]ledger.Wait{},
		since: map[ledger.WaitReason]time.Time{}, last: map[ledger.WaitReason]time.Time{},
	}
}

// set notes what by waits for now.
func (w *waits) set(by any, wait ledger.Wait, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[by] = wait
	w.see(wait.Reason, now)
}

// clear notes that by no longer waits.
func (w *waits) clear(by any, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if wait, ok := w.calls[by]; ok {
		w.see(wait.Reason, now)
		delete(w.calls, by)
	}
}

// released notes that a document was given back until a limit or an endpoint allows its call.
func (w *waits) released(wait ledger.Wait, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.docs[wait.Reason] = wait
	w.see(wait.Reason, now)
}

// waiting returns the number of calls that wait.
func (w *waits) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.calls)
}

func (w *waits) see(reason ledger.WaitReason, now time.Time) {
	if now.Sub(w.last[reason]) > waitGap {
		w.since[reason] = now
	}
	w.last[reason] = now
}

// current returns what the worker waits for, the most severe wait first, or nil.
func (w *waits) current(now time.Time) *ledger.Wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found *ledger.Wait
	consider := func(wait ledger.Wait) {
		if wait.Since.IsZero() {
			wait.Since = w.since[wait.Reason]
		}
		if wait.Reason == ledger.WaitRateLimit && now.Sub(wait.Since) < waitShownAfter {
			return
		}
		// The call that goes first ends the wait.
		if found == nil || wait.Reason.Severity() > found.Reason.Severity() ||
			wait.Reason == found.Reason && wait.Until.Before(found.Until) {
			found = &wait
		}
	}
	for _, wait := range w.calls {
		w.last[wait.Reason] = now
		consider(wait)
	}
	for reason, wait := range w.docs {
		if now.After(wait.Until) {
			delete(w.docs, reason)
			continue
		}
		w.last[reason] = now
		consider(wait)
	}
	return found
}

// due reports whether a wait has to be written to the ledger, and whether it is a new one.
func (w *waits) due(wait *ledger.Wait, now time.Time) (write, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case wait == nil || w.written == nil:
		changed = wait != w.written
	default:
		changed = wait.Reason != w.written.Reason || wait.Endpoint != w.written.Endpoint
	}
	later := wait != nil && w.written != nil && (!wait.Until.Equal(w.written.Until) || wait.Cause != w.written.Cause) &&
		(!now.Before(w.written.Until) || now.Sub(w.writtenAt) >= waitRewrite)
	return changed || later || w.unwritten, changed
}

func (w *waits) wrote(wait *ledger.Wait, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written, w.writtenAt, w.unwritten = wait, now, false
}

// warns reports whether it is time to warn of a wait: it takes or has taken long, and the last
// warning was a while ago.
func (w *waits) warns(wait ledger.Wait, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	long := wait.Until.Sub(now) >= warnOfWait || now.Sub(wait.Since) >= warnOfWait
	if wait.Reason == ledger.WaitRedis || !long || now.Sub(w.warned) < warnOfWaitEvery {
		return false
	}
	w.warned = now
	return true
}

// failed notes that the last write failed. It is tried again at the next turn.
func (w *waits) failed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unwritten = true
}

// reportWaits writes what the worker waits for to its row in the ledger, and logs a change.
func (w *Worker) reportWaits(ctx context.Context) {
	now := time.Now()
	wait := w.waits.current(now)
	write, changed := w.waits.due(wait, now)
	if wait != nil && w.waits.warns(*wait, now) {
		w.log.Warn("waiting for the endpoint", "reason", wait.Reason, "message", wait.Message(now))
	}
	if !write {
		return
	}
	short, cancel := context.WithTimeout(ctx, renewEvery)
	defer cancel()
	if changed {
		if wait == nil {
			w.log.Info("no longer waiting")
		} else {
			w.log.Info("waiting", "reason", wait.Reason, "message", wait.Message(now))
		}
	}
	w.waits.wrote(wait, now)
	if err := w.ledger.SetWait(short, w.id, wait); err != nil && ctx.Err() == nil {
		w.log.Debug("wait not recorded", "error", err)
		w.waits.failed()
	}
}

// callWaits returns waits that end with waiting, and are noted under by.
func (w *Worker) callWaits(waiting context.Context, by any) llm.Waits {
	return llm.Waits{Context: waiting, Report: func(wait *llm.Wait) {
		if wait == nil {
			w.waits.clear(by, time.Now())
			return
		}
		w.waits.set(by, waitOf(*wait), time.Now())
	}}
}

func waitOf(w llm.Wait) ledger.Wait {
	return ledger.Wait{Reason: ledger.WaitReason(w.Kind), Endpoint: w.Endpoint, Since: w.Since, Until: w.Until, Cause: w.Cause}
}

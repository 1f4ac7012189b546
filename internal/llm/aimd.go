package llm

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// aimdDecrease is what is left of the window after a 429. TCP's Reno halves;
// CUBIC keeps 0.7 (RFC 9438, section 4.6), which costs less throughput where
// the limit is a rate, not a queue.
const aimdDecrease = 0.7

// probeSuccesses is how many calls must succeed, one below the number in flight
// that was refused last, before that number is tried again. It sets the share
// of 429s that probing costs: about one in so many.
const probeSuccesses = 64

// A window bounds the calls in flight by additive increase and multiplicative
// decrease (Chiu and Jain, 1989): it starts full, shrinks at a 429, and grows
// by one for each window's worth of successes while it is the bound. Near the
// number that was refused last it grows slowly, as CUBIC does: plain AIMD comes
// back to a small limit of four every eight calls or so. Past that number the
// limit has moved, and growth is free again. Waiters are served in the order
// they came.
type window struct {
	full int

	mu        sync.Mutex
	limit     float64
	refusedAt float64 // calls in flight at the last decrease; 0: none to mind
	inFlight  int
	waiters   list.List // of chan struct{}, closed when admitted
	cut       time.Time // of the last decrease
}

func newWindow(full int) *window {
	return &window{full: full, limit: float64(full)}
}

// acquire waits for a place.
func (w *window) acquire(ctx context.Context) error {
	w.mu.Lock()
	if w.waiters.Len() == 0 && w.inFlight < int(w.limit) {
		w.inFlight++
		w.mu.Unlock()
		return nil
	}
	admitted := make(chan struct{})
	place := w.waiters.PushBack(admitted)
	w.mu.Unlock()

	select {
	case <-admitted:
		return nil
	case <-ctx.Done():
		w.mu.Lock()
		defer w.mu.Unlock()
		select {
		case <-admitted: // both happened: give the place on
			w.inFlight--
			w.admit()
		default:
			w.waiters.Remove(place)
		}
		return ctx.Err()
	}
}

// leave gives the place back and learns nothing.
func (w *window) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inFlight--
	w.admit()
}

// succeeded gives the place back and grows the window if it was the bound.
func (w *window) succeeded() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inFlight >= int(w.limit) {
		step := 1 / w.limit
		if w.limit >= w.refusedAt {
			w.refusedAt = 0
		} else if w.limit+1 >= w.refusedAt {
			step = min(step, 1.0/probeSuccesses)
		}
		w.limit = min(float64(w.full), w.limit+step)
	}
	w.inFlight--
	w.admit()
}

// refused gives the place back and shrinks the window, once for all the calls
// that were in flight together.
func (w *window) refused(sent time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !sent.Before(w.cut) {
		// The calls in flight are what was too much, not a limit never reached.
		w.refusedAt = min(w.limit, float64(w.inFlight))
		w.limit = max(1, w.refusedAt*aimdDecrease)
		w.cut = time.Now()
	}
	w.inFlight--
	w.admit()
}

// admit lets waiters in while there is room. The lock is held.
func (w *window) admit() {
	for w.inFlight < int(w.limit) {
		first := w.waiters.Front()
		if first == nil {
			return
		}
		w.waiters.Remove(first)
		w.inFlight++
		close(first.Value.(chan struct{}))
	}
}

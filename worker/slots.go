package worker

import (
	"context"
	"errors"
)

// errStopped is the error of a call that was not made because the worker no longer works on its run.
var errStopped = errors.New("the worker no longer works on this run")

// reserveAhead sets how many calls may be reserved ahead: one for every so many calls in flight after the first. The slot of a call that
// has ended is then taken at once: at 3,000 calls a second a dozen calls end while one reservation is written to the ledger. Reservations
// count in full when the process is killed, so they are few.
const reserveAhead = 4

// callSlots bounds the calls in flight. More documents are in work than there are slots: while some are read, checked and booked,
// the others keep the slots in use. A call is reserved in the ledger before it waits for a slot, and reservations are bounded too,
// so that hardly more calls are reserved than can be in flight.
type callSlots struct {
	reservations chan struct{}
	slots        chan struct{}
}

func newCallSlots(calls int) *callSlots {
	return &callSlots{reservations: make(chan struct{}, calls+(calls-1)/reserveAhead), slots: make(chan struct{}, calls)}
}

// reserve waits until one more call may be reserved. The caller must release the slot that it returns.
func (s *callSlots) reserve(ctx context.Context) (*slot, error) {
	select {
	case s.reservations <- struct{}{}:
		return &slot{of: s}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// slot belongs to one request, from its reservation to its answer. It is for one goroutine at a time.
type slot struct {
	of                 *callSlots
	acquired, released bool
}

// acquire waits until the call may be made. A request that is sent to another endpoint after a failure keeps its slot.
func (s *slot) acquire(ctx context.Context) error {
	if s.acquired {
		return nil
	}
	select {
	case s.of.slots <- struct{}{}:
		s.acquired = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release gives the slot back, once: as soon as the call is answered, and before it is booked.
func (s *slot) release() {
	if s.released {
		return
	}
	s.released = true
	if s.acquired {
		<-s.of.slots
	}
	<-s.of.reservations
}

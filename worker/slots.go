package worker

import (
	"context"
	"errors"
)

// errStopped is the error of a call that was not made because its run is stopped or the worker
// drains.
var errStopped = errors.New("the run is stopped")

// reserveAhead sets how many calls may be reserved ahead: one for every 4 calls in flight
// after the first. The slot of a finished call is then taken at once: at 3,000 calls a second
// a dozen calls end while one reservation is written to the ledger. Reserved calls count in
// full if the process is killed, so they are few.
const reserveAhead = 4

// callSlots limits the calls in flight. The worker has more documents in work than slots:
// while some are read, checked and recorded, the others keep the slots busy. A call is
// reserved in the ledger before it waits for a slot. Reservations are limited too, so hardly
// more calls are reserved than can be in flight.
type callSlots struct {
	reservations chan struct{}
	slots        chan struct{}
}

func newCallSlots(calls int) *callSlots {
	return &callSlots{reservations: make(chan struct{}, calls+(calls-1)/reserveAhead), slots: make(chan struct{}, calls)}
}

// reserve waits until one more call may be reserved. The caller must release the returned slot.
func (s *callSlots) reserve(ctx context.Context) (*slot, error) {
	select {
	case s.reservations <- struct{}{}:
		return &slot{of: s}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// slot belongs to one request, from its reservation to its answer. Use it from one goroutine
// at a time.
type slot struct {
	of                 *callSlots
	acquired, released bool
	after              []func() // to call when it is released
}

// then calls f when the slot is released.
func (s *slot) then(f func()) { s.after = append(s.after, f) }

// acquire waits until the call may be made. A request that goes to another endpoint after a
// failure keeps its slot.
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

// release frees the slot. Only the first call has an effect: it comes as soon as the call is
// answered, before the answer is recorded.
func (s *slot) release() {
	if s.released {
		return
	}
	s.released = true
	defer func() {
		for _, f := range s.after {
			f()
		}
	}()
	if s.acquired {
		<-s.of.slots
	}
	<-s.of.reservations
}

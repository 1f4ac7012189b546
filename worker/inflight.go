package worker

import (
	"context"
	"errors"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

// errStopped says that a call was not begun because its run was stopped.
var errStopped = errors.New("the run is not to be worked on any more")

// spare is for how many calls in flight, after the first, the intent of one more may be recorded: the place of a call that has ended is
// taken at once. At 3,000 calls a second a dozen end while an intent is on its way into the ledger. They count in full when the process is
// killed, so they are few.
const spare = 4

// inFlight hands requests on to a Completer, as many at once as it has places for calls. More documents are in work than that:
// while some are read, checked and booked, the others keep the places taken. Intents are recorded in turn, so that hardly more of
// them are open than calls may be in flight.
type inFlight struct {
	to      summarize.Completer
	intents chan struct{}
	places  chan struct{}
}

func newInFlight(to summarize.Completer, calls int) *inFlight {
	return &inFlight{to: to, intents: make(chan struct{}, calls+(calls-1)/spare), places: make(chan struct{}, calls)}
}

// Complete is summarize.Completer.
func (f *inFlight) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	t := &turn{of: f, job: ctx.Value(accountKey{}).(*account).job}
	select {
	case f.intents <- struct{}{}:
	case <-ctx.Done():
		return llm.Response{}, ctx.Err()
	}
	defer t.leave()
	if t.job.stopped.Load() {
		return llm.Response{}, errStopped
	}
	response, err := f.to.Complete(context.WithValue(ctx, turnKey{}, t), r)
	var failed *llm.Error
	if errors.As(err, &failed) && failed.Class == llm.Halted {
		t.job.stopped.Store(true) // before the place is given on to another call that would end so
	}
	return response, err
}

// turn is one request's, from its intent to its answer.
type turn struct {
	of           *inFlight
	job          *job
	placed, left bool
}

type turnKey struct{}

// place waits until the call may be made. One that is asked elsewhere after a failure has its place already.
func (t *turn) place(ctx context.Context) error {
	if !t.placed {
		select {
		case t.of.places <- struct{}{}:
			t.placed = true
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if t.job.stopped.Load() {
		return errStopped
	}
	return nil
}

// leave ends the turn, once: its call is answered, and only has to be booked.
func (t *turn) leave() {
	if t.left {
		return
	}
	t.left = true
	if t.placed {
		<-t.of.places
	}
	<-t.of.intents
}

package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

// errStopped says that a call was not begun because its run was stopped.
var errStopped = errors.New("the run is not to be worked on any more")

// inFlight hands requests on to a Completer, as many at once as it has places. More documents are in work than that: while some
// are read, checked and booked, the others keep the places taken. A call has its place before its intent is recorded and gives it
// back when it is answered, so that hardly more of them are open than calls may be in flight. That no more are is held by who
// makes them.
type inFlight struct {
	to     summarize.Completer
	places chan struct{}
}

// Complete is summarize.Completer.
func (f *inFlight) Complete(ctx context.Context, r llm.Request) (llm.Response, error) {
	j := ctx.Value(accountKey{}).(*account).job
	select {
	case f.places <- struct{}{}:
	case <-ctx.Done():
		return llm.Response{}, ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-f.places })
	defer leave()
	if j.stopped.Load() {
		return llm.Response{}, errStopped
	}
	response, err := f.to.Complete(context.WithValue(ctx, placeKey{}, leave), r)
	var failed *llm.Error
	if errors.As(err, &failed) && failed.Class == llm.Halted {
		j.stopped.Store(true) // before the place is given on to another call that would end so
	}
	return response, err
}

type placeKey struct{}

// answered gives the place of a call back that only has to be booked now. One that failed keeps it: it may be asked elsewhere.
func answered(ctx context.Context) { ctx.Value(placeKey{}).(func())() }

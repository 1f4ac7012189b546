package worker

import (
	"context"
	"errors"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

// errStopped says that a call was not made because its run was stopped.
var errStopped = errors.New("the run is not to be worked on any more")

// takeCall waits for a place among the calls in flight. The intent is on record by then, so that no place is idle while that is
// written; but it may be long ago, and the first answer to a wrong key has stopped the run.
func (w *Worker) takeCall(ctx context.Context, j *job) error {
	select {
	case w.inFlight <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if j.noCalls.Load() {
		<-w.inFlight
		return errStopped
	}
	return nil
}

// call makes one call in the place that takeCall took, and gives that back. Who gets it next knows if there is no use in another.
func (w *Worker) call(ctx context.Context, j *job, to summarize.Completer, r llm.Request) (llm.Response, error) {
	defer func() { <-w.inFlight }()
	response, err := to.Complete(ctx, r)
	var failed *llm.Error
	if errors.As(err, &failed) && failed.Class == llm.Halted {
		j.noCalls.Store(true)
	}
	return response, err
}

package worker

import (
	"context"

	"github.com/gistmill/gistmill/internal/ledger"
)

// Observer sees what a worker does. Implementations are safe for concurrent use.
type Observer interface {
	// Partition is called with the headers of a task that the worker begins. It returns the
	// context to work in, and a function to call at the end with whether the partition failed.
	// Returning it to the queue is no failure.
	Partition(ctx context.Context, headers map[string]string, run string, partition int64) (context.Context, func(failed bool))
	// Document is called when the worker begins a claimed document. It returns the context to
	// work in, and a function to call at the end with the outcome: done, dead, failed (will be
	// retried), crashed or released.
	Document(ctx context.Context, run string, document int64) (context.Context, func(outcome string))
	// Turned is called when a background loop begins and after each of its turns.
	Turned(loop string)
}

type noopObserver struct{}

func (noopObserver) Partition(ctx context.Context, _ map[string]string, _ string, _ int64) (context.Context, func(failed bool)) {
	return ctx, func(bool) {}
}

func (noopObserver) Document(ctx context.Context, _ string, _ int64) (context.Context, func(string)) {
	return ctx, func(string) {}
}

func (noopObserver) Turned(string) {}

// outcomeName is the name of an outcome for the observer.
func outcomeName(o outcome) string {
	switch o.(type) {
	case done:
		return ledger.LabelDone
	case dead:
		return ledger.LabelDead
	case failed:
		return "failed"
	case crashing:
		return "crashed"
	default:
		return "released"
	}
}

package worker

import (
	"context"

	"github.com/gistmill/gistmill/internal/ledger"
)

// An Observer is told what a worker is at. Implementations are safe for concurrent use.
type Observer interface {
	// Partition is called with the headers of a task that is taken up, and returns the context to work on it in and what is told whether it
	// failed. Handing it back is no failure.
	Partition(ctx context.Context, headers map[string]string, run string, partition int64) (context.Context, func(failed bool))
	// Document is called when a claimed document is begun, and returns the context to do it in and what is told its outcome: done, dead,
	// failed (to be tried again), crashed, or released.
	Document(ctx context.Context, run string, document int64) (context.Context, func(outcome string))
	// Turned is called when a loop in the background begins and after each of its turns.
	Turned(loop string)
}

// deaf hears nothing.
type deaf struct{}

func (deaf) Partition(ctx context.Context, _ map[string]string, _ string, _ int64) (context.Context, func(failed bool)) {
	return ctx, func(bool) {}
}

func (deaf) Document(ctx context.Context, _ string, _ int64) (context.Context, func(string)) {
	return ctx, func(string) {}
}
func (deaf) Turned(string) {}

// outcomeName is what an observer is told.
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

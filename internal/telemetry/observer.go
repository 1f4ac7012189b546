package telemetry

import (
	"context"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
)

// Observer implements worker.Observer and [llm.Observer]: it passes events to metrics, watchdog and
// traces. Each of its parts may be nil. It is safe for concurrent use.
type Observer struct {
	Worker   *Worker
	Watchdog *Watchdog
	Tracing  *Tracing
}

// Turned reports a turn of one of the worker's loops.
func (o *Observer) Turned(loop string) {
	if o.Watchdog != nil {
		o.Watchdog.Turned(loop)
	}
}

// Partition reports the start of a task. The caller must call the returned function at its end.
func (o *Observer) Partition(ctx context.Context, headers map[string]string, run string, partition int64) (context.Context, func(failed bool)) {
	if o.Tracing == nil {
		return ctx, func(bool) {}
	}
	return o.Tracing.partition(ctx, headers, run, partition)
}

// Document reports the start of a document. The caller must call the returned function at its end.
func (o *Observer) Document(ctx context.Context, run string, document int64) (context.Context, func(outcome string)) {
	end := func(string) {}
	if o.Tracing != nil {
		ctx, end = o.Tracing.document(ctx, run, document)
	}
	return ctx, func(outcome string) {
		if o.Worker != nil {
			o.Worker.document(outcome)
		}
		end(outcome)
	}
}

// Begin implements [llm.Observer].
func (o *Observer) Begin(ctx context.Context, c llm.CallBegin) (context.Context, func(llm.CallEnd)) {
	begun := time.Now()
	end := func(llm.CallEnd) {}
	if o.Tracing != nil {
		ctx, end = o.Tracing.call(ctx, c)
	}
	return ctx, func(e llm.CallEnd) {
		if o.Worker != nil && !e.NotSent {
			o.Worker.call(c, e.Class, time.Since(begun).Seconds())
		}
		end(e)
	}
}

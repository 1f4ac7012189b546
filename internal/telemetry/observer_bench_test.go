//go:build benchmark

package telemetry_test

import (
	"log/slog"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/telemetry"
)

// BenchmarkObserver is what a document with one call costs: with a worker's metrics, and with traces to nowhere. Without either no observer
// is set, and there is nothing to measure.
func BenchmarkObserver(b *testing.B) {
	metrics := telemetry.NewWorker("v", func() int64 { return 0 }, slog.New(slog.DiscardHandler))
	nowhere := telemetry.TraceTo(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	for name, o := range map[string]*telemetry.Observer{"metrics": {Worker: metrics}, "metrics and traces": {Worker: metrics, Tracing: nowhere}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx, done := o.Document(b.Context(), "run", 1)
				_, answered := o.Begin(ctx, llm.CallBegin{Model: "m", Endpoint: "model.test"})
				answered(llm.CallEnd{Class: llm.ClassOK, Usage: llm.Usage{In: 10, Out: 3}})
				done("done")
			}
		})
	}
}

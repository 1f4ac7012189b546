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

// BenchmarkObserver measures a document with one call: with a worker's metrics, and with traces
// that are discarded. Without either, a worker has no observer.
func BenchmarkObserver(b *testing.B) {
	metrics := telemetry.NewWorker("v", func() int64 { return 0 }, slog.New(slog.DiscardHandler))
	discarded := telemetry.TraceTo(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	for name, o := range map[string]*telemetry.Observer{"metrics": {Worker: metrics}, "metrics and traces": {Worker: metrics, Tracing: discarded}} {
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

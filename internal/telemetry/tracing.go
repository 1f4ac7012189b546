package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/gistmill/gistmill/internal/llm"
)

// Tracing makes spans from planning to calls: enqueue → partition → document → call. A task
// carries the trace in its headers (W3C Trace Context). Attributes hold names, numbers and
// classes, never texts, prompts, keys or URIs of documents. Spans of calls follow
// [OpenTelemetry's conventions] for generative AI (semantic conventions 1.41). It is safe for
// concurrent use.
//
// [OpenTelemetry's conventions]: https://opentelemetry.io/docs/specs/semconv/gen-ai/
type Tracing struct {
	provider   *sdktrace.TracerProvider
	tracer     trace.Tracer
	propagator propagation.TraceContext
}

// Names of our own attributes.
const (
	attributeRun       = "gistmill.run"
	attributePartition = "gistmill.partition"
	attributeDocument  = "gistmill.document"
	attributeOutcome   = "gistmill.outcome"
	attributeDocuments = "gistmill.documents"
	attributeTasks     = "gistmill.tasks"
	attributeWaited    = "gistmill.call.waited"
)

// NewTracing returns a Tracing that exports to the endpoint in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
// or OTEL_EXPORTER_OTLP_ENDPOINT. Without one it returns nil, and tracing costs nothing.
// OpenTelemetry itself reads the other OTEL_ variables. Failures of the export are logged and
// have no other effect.
func NewTracing(ctx context.Context, getenv func(string) string, version string, log *slog.Logger) (*Tracing, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if v := strings.TrimSpace(getenv(name)); v != "" {
				return v
			}
		}
		return ""
	}
	if first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") == "" ||
		strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	// OpenTelemetry's own log quotes malformed variables, which may hold credentials.
	otel.SetLogger(logr.Discard())
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		if malformedHeaders(getenv(name)) {
			log.Warn("variable is malformed; write NAME=VALUE,NAME=VALUE", "variable", name)
		}
	}
	var exporter sdktrace.SpanExporter
	var err error
	switch protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol {
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	case "", "http/protobuf":
		exporter, err = otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: use http/protobuf or grpc", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("set up the export of traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("gistmill"), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("set up the export of traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces were not exported", "error", err) }))
	return TraceTo(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

// malformedHeaders reports whether OpenTelemetry would leave out a part of the headers.
func malformedHeaders(headers string) bool {
	if headers == "" {
		return false
	}
	for pair := range strings.SplitSeq(headers, ",") {
		if name, _, ok := strings.Cut(pair, "="); !ok || strings.TrimSpace(name) == "" || strings.Contains(strings.TrimSpace(name), " ") {
			return true
		}
	}
	return false
}

// TraceTo returns a Tracing with the given provider options.
func TraceTo(options ...sdktrace.TracerProviderOption) *Tracing {
	provider := sdktrace.NewTracerProvider(options...)
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/gistmill/gistmill")}
}

// Close exports the remaining spans until ctx ends.
func (t *Tracing) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export the last traces: %w", err)
	}
	return nil
}

// Headers returns the headers for tasks enqueued under ctx; nil without a trace.
func (t *Tracing) Headers(ctx context.Context) map[string]string {
	carrier := propagation.MapCarrier{}
	t.propagator.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return nil
	}
	return carrier
}

// Enqueue begins the span of a plan and its tasks; the returned function ends it. A nil Tracing
// makes no span.
func (t *Tracing) Enqueue(ctx context.Context) (context.Context, func(run string, documents int64, tasks int, err error)) {
	if t == nil {
		return ctx, func(string, int64, int, error) {}
	}
	ctx, span := t.tracer.Start(ctx, "enqueue", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("asynq"), semconv.MessagingOperationName("enqueue"), semconv.MessagingOperationTypeSend))
	return ctx, func(run string, documents int64, tasks int, err error) {
		span.SetAttributes(attribute.String(attributeRun, run), attribute.Int64(attributeDocuments, documents), attribute.Int(attributeTasks, tasks))
		if err != nil {
			span.SetStatus(codes.Error, "") // no message: it may contain a URI
		}
		span.End()
	}
}

func (t *Tracing) partition(ctx context.Context, headers map[string]string, run string, partition int64) (context.Context, func(failed bool)) {
	ctx = t.propagator.Extract(ctx, propagation.MapCarrier(headers))
	ctx, span := t.tracer.Start(ctx, "partition", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("asynq"), semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
		attribute.String(attributeRun, run), attribute.Int64(attributePartition, partition)))
	return ctx, func(failed bool) {
		if failed {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

func (t *Tracing) document(ctx context.Context, run string, document int64) (context.Context, func(outcome string)) {
	ctx, span := t.tracer.Start(ctx, "document", trace.WithAttributes(attribute.String(attributeRun, run), attribute.Int64(attributeDocument, document)))
	return ctx, func(outcome string) {
		span.SetAttributes(attribute.String(attributeOutcome, outcome))
		if outcome != "done" && outcome != "released" {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

func (t *Tracing) call(ctx context.Context, c llm.CallBegin) (context.Context, func(llm.CallEnd)) {
	provider := semconv.GenAIProviderNameOpenAI // the protocol; the provider behind it is unknown
	if c.Azure {
		provider = semconv.GenAIProviderNameAzureAIOpenAI
	}
	attributes := []attribute.KeyValue{
		semconv.GenAIOperationNameChat, provider, semconv.GenAIRequestModel(c.Model), semconv.GenAIRequestTemperature(c.Temperature),
		attribute.Float64(attributeWaited, c.Waited.Seconds()),
	}
	if c.MaxOutputTokens > 0 {
		attributes = append(attributes, semconv.GenAIRequestMaxTokens(c.MaxOutputTokens))
	}
	host, port, err := net.SplitHostPort(c.Endpoint)
	if err != nil {
		host = c.Endpoint
	}
	attributes = append(attributes, semconv.ServerAddress(host))
	if n, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, semconv.ServerPort(n))
	}
	ctx, span := t.tracer.Start(ctx, "chat "+c.Model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return ctx, func(e llm.CallEnd) {
		if e.Usage != (llm.Usage{}) {
			span.SetAttributes(semconv.GenAIUsageInputTokens(e.Usage.In), semconv.GenAIUsageOutputTokens(e.Usage.Out),
				semconv.GenAIUsageCacheReadInputTokens(e.Usage.CachedIn))
		}
		if e.Model != "" {
			span.SetAttributes(semconv.GenAIResponseModel(e.Model))
		}
		if e.FinishReason != "" {
			span.SetAttributes(semconv.GenAIResponseFinishReasons(e.FinishReason))
		}
		if e.Status != 0 {
			span.SetAttributes(semconv.HTTPResponseStatusCode(e.Status))
		}
		if e.Class != llm.ClassOK {
			span.SetAttributes(semconv.ErrorTypeKey.String(e.Class))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

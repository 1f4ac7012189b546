package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/telemetry"
)

// TestTraceGoesFromEnqueueToCall passes only the task's headers, because the worker is another
// process.
func TestTraceGoesFromEnqueueToCall(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	tracing := telemetry.TraceTo(sdktrace.WithSpanProcessor(recorder))
	ctx, planned := tracing.Enqueue(t.Context())
	headers := tracing.Headers(ctx)
	planned("run-1", 50, 2, nil)
	if len(headers) == 0 || tracing.Headers(t.Context()) != nil {
		t.Fatalf("headers %v, without a trace %v", headers, tracing.Headers(t.Context()))
	}
	o := &telemetry.Observer{Tracing: tracing}
	ctx, handed := o.Partition(t.Context(), headers, "run-1", 7)
	ctx, done := o.Document(ctx, "run-1", 8)
	_, failed := o.Begin(ctx, llm.CallBegin{Endpoint: "model.test:8443", Model: "gpt", MaxOutputTokens: 400, Waited: 2 * time.Second})
	failed(llm.CallEnd{Class: "transient", Status: 500})
	_, answered := o.Begin(ctx, llm.CallBegin{Endpoint: "model.test", Azure: true, Model: "gpt"})
	answered(llm.CallEnd{Class: llm.ClassOK, Model: "gpt-2026", FinishReason: "stop", Usage: llm.Usage{In: 10, Out: 3}})
	done("done")
	handed(false)

	parents := map[string]string{}
	names := map[trace.SpanID]string{}
	attributes := map[string]map[string]string{}
	ids := map[trace.TraceID]bool{}
	calls := 0
	for _, s := range recorder.Ended() {
		name := s.Name()
		if name == "chat gpt" {
			calls++
			name = fmt.Sprint(name, " ", calls)
		}
		names[s.SpanContext().SpanID()] = name
		ids[s.SpanContext().TraceID()] = true
		attributes[name] = map[string]string{"status": s.Status().Code.String()}
		for _, a := range s.Attributes() {
			attributes[name][string(a.Key)] = a.Value.String()
		}
	}
	for _, s := range recorder.Ended() {
		parents[names[s.SpanContext().SpanID()]] = names[s.Parent().SpanID()]
	}
	for child, parent := range map[string]string{
		"enqueue": "", "partition": "enqueue", "document": "partition", "chat gpt 1": "document", "chat gpt 2": "document",
	} {
		if got, ok := parents[child]; !ok || got != parent {
			t.Errorf("%s is under %q (exists: %v), want %q", child, got, ok, parent)
		}
	}
	if len(ids) != 1 {
		t.Errorf("%d traces", len(ids))
	}
	for span, want := range map[string]map[string]string{
		"enqueue":   {"gistmill.run": "run-1", "gistmill.tasks": "2", "gistmill.documents": "50"},
		"partition": {"gistmill.run": "run-1", "gistmill.partition": "7", "messaging.system": "asynq", "status": "Unset"},
		"document":  {"gistmill.document": "8", "gistmill.outcome": "done", "status": "Unset"},
		"chat gpt 1": {
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt", "gen_ai.request.max_tokens": "400",
			"server.address": "model.test", "server.port": "8443", "gistmill.call.waited": "2", "error.type": "transient", "http.response.status_code": "500", "status": "Error",
		},
		"chat gpt 2": {
			"gen_ai.provider.name": "azure.ai.openai", "gen_ai.response.model": "gpt-2026", "gen_ai.usage.input_tokens": "10", "gen_ai.usage.output_tokens": "3",
			"gen_ai.response.finish_reasons": `["stop"]`, "status": "Unset",
		},
	} {
		for key, value := range want {
			if got := attributes[span][key]; got != value {
				t.Errorf("%s has %s=%q, want %q", span, key, got, value)
			}
		}
	}
}

// TestTracingIsOff checks that nothing is traced without an endpoint or when tracing is disabled.
func TestTracingIsOff(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]map[string]string{
		"nothing is set": {}, "disabled": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x.test", "OTEL_SDK_DISABLED": "true"},
		"no exporter":  {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x.test", "OTEL_TRACES_EXPORTER": "none"},
		"metrics only": {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x.test"},
	} {
		tracing, err := telemetry.NewTracing(t.Context(), func(k string) string { return env[k] }, "v", slog.New(slog.DiscardHandler))
		if tracing != nil || err != nil {
			t.Errorf("%s: %v %v", name, tracing, err)
		}
	}
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x.test", "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}
	if _, err := telemetry.NewTracing(t.Context(), func(k string) string { return env[k] }, "v", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an unknown protocol is accepted")
	}
	var none *telemetry.Tracing
	ctx, ended := none.Enqueue(t.Context())
	ended("run", 1, 1, errors.New("failed"))
	if ctx != t.Context() {
		t.Error("without tracing the context differs")
	}
}

// TestTracesAreSent checks that Close exports to the endpoint of the environment. OpenTelemetry
// reads the environment of the process.
func TestTracesAreSent(t *testing.T) {
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.URL.Path + " " + r.Header.Get("X-Team") + " " + string(body)
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=books")
	tracing, err := telemetry.NewTracing(t.Context(), os.Getenv, "v1.2.3", slog.New(slog.DiscardHandler))
	if err != nil || tracing == nil {
		t.Fatal(tracing, err)
	}
	_, planned := tracing.Enqueue(t.Context())
	planned("run-1", 1, 1, errors.New("canary"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := tracing.Close(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case sent := <-got:
		for _, want := range []string{"/v1/traces books ", "run-1", "gistmill", "v1.2.3"} {
			if !strings.Contains(sent, want) {
				t.Errorf("%q is missing in the export: %q", want, sent)
			}
		}
		if strings.Contains(sent, "canary") {
			t.Error("the text of an error was exported")
		}
	default:
		t.Error("nothing was exported")
	}
}

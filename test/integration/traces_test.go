//go:build integration

package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// traceServer accepts traces as OpenTelemetry's collector does.
type traceServer struct {
	mu     sync.Mutex
	raw    strings.Builder
	traces map[string]map[string]int // number of spans by name
}

func (c *traceServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, resource := range request.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				id := fmt.Sprintf("%x", span.GetTraceId())
				if c.traces[id] == nil {
					c.traces[id] = map[string]int{}
				}
				c.traces[id][span.GetName()]++
			}
		}
	}
}

// One trace covers the enqueue and every call, through the queue and another process. It
// contains no secret.
func TestTraceFromEnqueueToCall(t *testing.T) {
	t.Parallel()
	c := &traceServer{traces: map[string]map[string]int{}}
	server := httptest.NewServer(c)
	defer server.Close()
	s := newSite(t, "", latency(t, "5ms"))
	s.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.URL
	s.env["OPENAI_API_KEY"] = "canary-key"
	s.write("notes.jsonl", bytes.ReplaceAll(lines(0, 12), []byte(`"text":"`), []byte(`"text":"canary-text `)))
	run := s.enqueue("notes.jsonl", "--partition-documents", "6")[0].Run
	s.run("worker", "--exit-when-idle=2s").WantCode(0)
	s.finish(run, patience, programtest.Totals{Total: 12, Done: 12})
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.traces) != 1 {
		t.Errorf("%d traces: %v", len(c.traces), c.traces)
	}
	for _, spans := range c.traces {
		want := map[string]int{"enqueue": 1, "partition": 2, "document": 12, "chat gpt-4o-mini": 12}
		for name, n := range want {
			if spans[name] != n {
				t.Errorf("%d spans %q, want %d", spans[name], name, n)
			}
		}
	}
	if raw := c.raw.String(); strings.Contains(raw, "canary") || !strings.Contains(raw, "gen_ai.usage.input_tokens") {
		t.Error("a secret or a text is in a trace, or no usage")
	}
}

var watching = regexp.MustCompile(`"serving metrics and probes","address":"([^"]+)"`)

// A worker with --metrics-listen serves its own metrics and probes until it ends.
func TestWorkerIsWatched(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", latency(t, "5ms"))
	p := s.start("worker", "--metrics-listen", "127.0.0.1:0", "--log-format", "json")
	v := &server{Process: p, t: s.t}
	p.Until("it serves its metrics", func() bool {
		m := watching.FindStringSubmatch(p.Stderr.String())
		if m != nil {
			v.url = "http://" + m[1]
		}
		return m != nil
	})
	s.write("notes.jsonl", lines(0, 12))
	run := s.enqueue("notes.jsonl")[0].Run
	s.finish(run, patience, programtest.Totals{Total: 12, Done: 12})
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := v.get(path); status != http.StatusOK {
			t.Errorf("%s answers %d: %s", path, status, body)
		}
	}
	_, body := v.get("/metrics")
	for _, line := range []string{
		`gistmill_worker_documents_total{outcome="done"} 12`, `gistmill_call_duration_seconds_count{class="ok",model="gpt-4o-mini"} 12`,
		`gistmill_call_wait_seconds_count{model="gpt-4o-mini"} 12`,
	} {
		if !strings.Contains(string(body), line+"\n") {
			t.Errorf("%s is missing in\n%s", line, body)
		}
	}
	v.Stop()
	if status, _ := v.get("/healthz"); status != 0 {
		t.Errorf("after its end the worker answers %d", status)
	}
}

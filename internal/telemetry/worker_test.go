package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/telemetry"
)

func TestWorkerMetrics(t *testing.T) {
	t.Parallel()
	w := telemetry.NewWorker("v1.2.3", func() int64 { return 3 }, slog.New(slog.DiscardHandler))
	o := &telemetry.Observer{Worker: w}
	_, begun := o.Document(t.Context(), "run", 1)
	begun("done")
	for _, class := range []string{"ok", "transient"} {
		_, called := o.Begin(t.Context(), llm.CallBegin{Model: "m", Endpoint: "canary", Waited: time.Second})
		called(llm.CallEnd{Class: class})
	}
	o.Turned("no watchdog")
	s := scrape(t, w.Metrics())
	s.want(1, "gistmill_worker_documents_total", "outcome=done")
	s.want(0, "gistmill_worker_documents_total", "outcome=dead")
	s.want(1, "gistmill_call_duration_seconds", "model=m", "class=ok")
	s.want(1, "gistmill_call_duration_seconds", "model=m", "class=transient")
	s.want(2, "gistmill_call_wait_seconds", "model=m")
	s.want(3, "gistmill_worker_held_partitions")
	s.want(1, "gistmill_build_info", "version=v1.2.3", "goversion="+s.goVersion())
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if s.families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
	if strings.Contains(s.text, "canary") {
		t.Error("a secret is shown")
	}
	problems, err := promlint.New(strings.NewReader(s.text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for line := range strings.Lines(telemetry.WorkerMarkdown()) {
		if name := strings.Split(line, "`"); len(name) > 1 && s.families[name[1]] == nil {
			t.Errorf("%s is in the table but not served", name[1])
		}
	}
}

// TestWatchdog sends a request every ten seconds, as a liveness probe does.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		turns  func(minute float64) bool // whether the loop turns
		outage func(minute float64) bool // whether Redis is unavailable
		want   func(minute float64) bool // whether the probe must fail; nil: never
	}{
		"healthy":            {turns: func(float64) bool { return true }},
		"a loop hangs":       {turns: func(m float64) bool { return m < 5 }, want: func(m float64) bool { return m > 9.5 }},
		"a long turn":        {turns: func(m float64) bool { return m < 5 || m > 8.5 }},
		"an outage":          {turns: func(m float64) bool { return m < 5 }, outage: func(m float64) bool { return m >= 5 }},
		"back in a moment":   {turns: func(m float64) bool { return m < 5 || m > 15.5 }, outage: func(m float64) bool { return m >= 5 && m < 15 }},
		"hangs after outage": {turns: func(m float64) bool { return m < 5 }, outage: func(m float64) bool { return m >= 5 && m < 10 }, want: func(m float64) bool { return m > 11.5 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				minute := func() float64 { return time.Since(start).Minutes() }
				dog := telemetry.NewWatchdog(map[string]func(context.Context) error{"redis": func(context.Context) error {
					if tc.outage != nil && tc.outage(minute()) {
						return errors.New("connection refused")
					}
					return nil
				}}, slog.New(slog.DiscardHandler))
				(&telemetry.Observer{Watchdog: dog}).Turned("renew")
				failed := false
				for minute() < 20 {
					if tc.turns(minute()) {
						dog.Turned("renew")
					}
					w := httptest.NewRecorder()
					dog.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil))
					up := tc.want == nil || !tc.want(minute())
					switch {
					case w.Code != http.StatusOK && tc.want == nil, w.Code != http.StatusOK && minute() < 8:
						t.Fatalf("probe failed in minute %.1f: %s", minute(), w.Body)
					case w.Code == http.StatusOK && !up:
						t.Fatalf("probe passed in minute %.1f", minute())
					}
					failed = failed || w.Code == http.StatusServiceUnavailable
					elapse(10 * time.Second)
				}
				if failed != (tc.want != nil) {
					t.Errorf("probe failed: %v", failed)
				}
			})
		})
	}
}

// elapse lets time pass in a bubble.
func elapse(d time.Duration) { time.Sleep(d) }

package telemetry_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/limiter"
	"github.com/gistmill/gistmill/internal/telemetry"
)

// scraped is the result of a scrape.
type scraped struct {
	*testing.T
	text     string
	families map[string]*dto.MetricFamily
}

func scrape(t *testing.T, h http.Handler) scraped {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	text := w.Body.String()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return scraped{t, text, families}
}

// series returns the value of a series, with labels as name=value, and whether it exists.
func (s scraped) series(name string, labels ...string) (float64, bool) {
	for _, m := range s.families[name].GetMetric() {
		pairs := []string{}
		for _, l := range m.GetLabel() {
			pairs = append(pairs, l.GetName()+"="+l.GetValue())
		}
		slices.Sort(pairs)
		slices.Sort(labels)
		if slices.Equal(pairs, labels) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()), true
		}
	}
	return 0, false
}

func (s scraped) want(value float64, name string, labels ...string) {
	s.Helper()
	if got, ok := s.series(name, labels...); !ok || got < value*0.999 || got > value*1.001 {
		s.Errorf("%s%v is %v (exists: %v), want %v", name, labels, got, ok, value)
	}
}

func (s scraped) none(name string, labels ...string) {
	s.Helper()
	if got, ok := s.series(name, labels...); ok {
		s.Errorf("%s%v is %v, want none", name, labels, got)
	}
}

// fixed returns a configuration whose parts all answer with fixed figures.
func fixed() telemetry.ServerConfig {
	return telemetry.ServerConfig{
		Queue: func(context.Context) (telemetry.Queue, error) {
			return telemetry.Queue{
				Name: "documents", Active: 1, Pending: 2, Scheduled: 3, Retry: 4, Archived: 5, Completed: 6, Processed: 70, Failed: 8, Bytes: 900,
				Paused: true, OldestPending: 90 * time.Second,
			}, nil
		},
		Demand: func(context.Context) (telemetry.Demand, error) {
			return telemetry.Demand{Queue: "documents", Demand: 4, Uncapped: 40}, nil
		},
		Limiters: func(context.Context) ([]limiter.State, error) { return nil, nil },
		Ledger:   func(context.Context) (report.Stats, error) { return report.Stats{}, nil },
		Version:  "v1.2.3", DeadClasses: []ledger.Class{"input", "exhausted"}, Log: slog.New(slog.DiscardHandler),
	}
}

func TestQueueAndDemand(t *testing.T) {
	t.Parallel()
	s := scrape(t, telemetry.ServerMetrics(fixed()))
	for state, n := range map[string]float64{"active": 1, "pending": 2, "scheduled": 3, "retry": 4, "archived": 5, "completed": 6} {
		s.want(n, "asynq_tasks_enqueued_total", "queue=documents", "state="+state)
	}
	for name, value := range map[string]float64{
		"asynq_queue_size": 21, "asynq_queue_latency_seconds": 90, "asynq_queue_memory_usage_approx_bytes": 900, "asynq_tasks_processed_total": 70,
		"asynq_tasks_failed_total": 8, "asynq_queue_paused_total": 1, "gistmill_demand": 4, "gistmill_demand_uncapped": 40, "gistmill_oldest_pending_seconds": 90,
	} {
		s.want(value, name, "queue=documents")
	}
	// The types are those of asynq's exporter, even if the names suggest others.
	for name, kind := range map[string]dto.MetricType{
		"asynq_tasks_enqueued_total": dto.MetricType_GAUGE, "asynq_queue_paused_total": dto.MetricType_GAUGE, "asynq_tasks_processed_total": dto.MetricType_COUNTER,
		"gistmill_documents_total": dto.MetricType_COUNTER, "gistmill_runs": dto.MetricType_GAUGE,
	} {
		if got := s.families[name].GetType(); got != kind {
			t.Errorf("%s is a %s", name, got)
		}
	}
}

func TestLimitersOfOneModelAreOne(t *testing.T) {
	t.Parallel()
	c := fixed()
	c.Limiters = func(context.Context) ([]limiter.State, error) {
		return []limiter.State{
			{Model: "a", Endpoint: "one", Limited: true, RPM: 60, InFlight: 2, Wait: time.Second},
			{Model: "a", Endpoint: "two", Limited: true, RPM: 40, TPM: 1000, InFlight: 3, Wait: 4 * time.Second},
			{Model: "free"},
		}, nil
	}
	s := scrape(t, telemetry.ServerMetrics(c))
	s.want(4, "gistmill_limiter_wait_seconds", "model=a")
	s.want(100, "gistmill_limiter_rate", "model=a", "unit=requests")
	s.want(1000, "gistmill_limiter_rate", "model=a", "unit=tokens")
	s.want(5, "gistmill_limiter_in_flight", "model=a")
	s.want(0, "gistmill_limiter_wait_seconds", "model=free")
	s.none("gistmill_limiter_rate", "model=free", "unit=requests")
	s.none("gistmill_limiter_in_flight", "model=free")
}

// TestLedgerAndLimiters reads a real ledger and real limiters that hold a secret wherever one can
// be.
func TestLedgerAndLimiters(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := ledger.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{})
	ok(err)
	defer l.Close()
	source, err := l.PutSource(ctx, "s3://user:canary@bucket/of%20mine/?region=eu&secret_key=canary&endpoint=http://a.test&X-Amz-Signature=canary")
	ok(err)
	profile, err := l.PutProfile(ctx, "hash", "model", `{"prompt": "canary"}`)
	ok(err)
	budget := int64(2e9)
	run, _, err := l.OpenRun(ctx, source, profile, false)
	ok(err)
	ok(l.LockPlan(ctx, source, profile, "planner"))
	entries := []ledger.Entry{{URI: "canary-1", Version: "1"}, {URI: "canary-2", Version: "1"}, {URI: "canary-3", Version: "1", Problem: "canary"}}
	_, err = l.Plan(ctx, run, "planner", entries, ledger.PartitionSize{Documents: 10, Bytes: 1 << 20}, nil)
	ok(err)
	ok(l.Publish(ctx, ledger.Publication{Run: run.ID, BudgetNano: &budget}))
	ok(l.RecordPlan(ctx, source))
	worker, err := l.Register(ctx, ledger.WorkerProcess{Name: "canary"})
	ok(err)
	ok(l.Renew(ctx, worker, ledger.Counts{
		{Name: ledger.CountDocuments, Label: ledger.LabelDone}: 7, {Name: ledger.CountCalls, Label: "ok"}: 9, {Name: ledger.CountCalls, Label: "halted"}: 1,
		{Name: ledger.CountTokens, Label: ledger.LabelIn}: 1000, {Name: ledger.CountCost}: 25e7, {Name: ledger.CountStale}: 2,
	}))
	reserve := int64(5e8)
	day := int64(4e9)
	_, _, err = l.BeginCall(ctx, ledger.Reservation{Run: run.ID, Document: 1, Worker: worker, Name: "canary", Model: "model", ReservedNano: &reserve, DayCapNano: &day})
	ok(err)

	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), DisableIdentity: true})
	defer client.Close()
	shared := limiter.New(limiter.Config{
		Redis: client, Endpoint: "https://user:canary@model.test/v1?key=canary", Key: "canary", MaxInFlight: 4, Timeout: time.Minute, RPM: 6000,
	})
	permit, err := shared.Acquire(ctx, llm.Call{Model: "gpt", InputTokens: func() int { return 1 }, CallWait: time.Minute})
	ok(err)
	permit.Done(llm.Outcome{})

	c := fixed()
	c.Ledger, c.DayCapNano = report.New(l).Stats, &day
	c.Limiters = func(ctx context.Context) ([]limiter.State, error) { return limiter.List(ctx, client) }
	s := scrape(t, telemetry.ServerMetrics(c))
	if strings.Contains(s.text, "canary") {
		t.Errorf("a secret is shown:\n%s", s.text)
	}
	s.want(7, "gistmill_documents_total", "outcome=done")
	s.want(1, "gistmill_documents_total", "outcome=dead")
	s.want(0, "gistmill_documents_total", "outcome=skipped")
	s.want(2, "gistmill_documents_remaining")
	s.want(1, "gistmill_dead_letters", "class=input")
	s.want(0, "gistmill_dead_letters", "class=exhausted")
	s.want(1000, "gistmill_tokens_total", "direction=in")
	s.want(0, "gistmill_tokens_total", "direction=out")
	s.want(0.25, "gistmill_cost_usd_total")
	s.want(9, "gistmill_calls_total", "class=ok")
	s.want(1, "gistmill_calls_total", "class=halted")
	s.want(1, "gistmill_runs", "state=running")
	s.want(0, "gistmill_runs", "state=stopped")
	s.want(float64(time.Now().Unix()), "gistmill_last_enqueue_timestamp_seconds", "source=s3://bucket/of%20mine/?region=eu&endpoint=http://a.test")
	s.want(1, "gistmill_workers")
	s.want(0, "gistmill_worker_runs_total", "result=empty")
	s.want(2, "gistmill_stale_writes_refused_total")
	s.want(2, "gistmill_budget_usd", "scope=run", "run="+run.Name)
	s.want(0.25, "gistmill_budget_used_ratio", "scope=run", "run="+run.Name)
	s.want(4, "gistmill_budget_usd", "scope=day", "run=")
	s.want(0.125, "gistmill_budget_used_ratio", "scope=day", "run=")
	s.want(6000, "gistmill_limiter_rate", "model=gpt", "unit=requests")
	s.want(0, "gistmill_scrape_errors_total", "part=ledger")

	problems, err := promlint.New(strings.NewReader(s.text)).Lint()
	ok(err)
	for _, p := range problems {
		if !strings.HasPrefix(p.Metric, "asynq_") { // asynq chose their names
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	// Every metric in the table is served.
	for line := range strings.Lines(telemetry.ServerMarkdown()) {
		if name := strings.Split(line, "`"); len(name) > 1 && s.families[name[1]] == nil {
			t.Errorf("%s is in the table but not served", name[1])
		}
	}
}

// TestUnavailablePart checks that a scrape counts and leaves out the parts that cannot be read, and
// serves the rest in time.
func TestUnavailablePart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		c := fixed()
		c.Queue = func(context.Context) (telemetry.Queue, error) { return telemetry.Queue{}, down }
		c.Ledger = func(ctx context.Context) (report.Stats, error) { return report.Stats{}, hang(ctx) }
		h := telemetry.ServerMetrics(c)
		start := time.Now()
		scrape(t, h)
		s := scrape(t, h)
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("two scrapes took %s", took)
		}
		s.want(2, "gistmill_scrape_errors_total", "part=redis")
		s.want(2, "gistmill_scrape_errors_total", "part=ledger")
		s.want(4, "gistmill_demand", "queue=documents")
		s.want(1, "gistmill_build_info", "version=v1.2.3", "goversion="+s.goVersion())
		for _, name := range []string{"asynq_queue_size", "gistmill_documents_total", "gistmill_workers"} {
			if s.families[name] != nil {
				t.Errorf("%s is served although its part is unavailable", name)
			}
		}
	})
}

func (s scraped) goVersion() string {
	for _, m := range s.families["gistmill_build_info"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "goversion" {
				return l.GetValue()
			}
		}
	}
	return ""
}

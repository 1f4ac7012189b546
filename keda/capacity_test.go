package keda

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/limiter"
)

func TestCapacityOfALimiter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	second := time.Second
	cases := []struct {
		name    string
		limiter limiter.State
		calls   float64
		limited bool
	}{
		{"no limit", limiter.State{Latency: second}, 0, false},
		{"60 a minute at 2 s", limiter.State{RPM: 60, Latency: 2 * second}, 2 * headroom, true},
		{"an unknown latency", limiter.State{RPM: 60}, 10 * headroom, true},
		{"tokens", limiter.State{TPM: 60_000, Tokens: 500, Latency: second}, 2 * headroom, true},
		{"the smaller of both", limiter.State{RPM: 600, TPM: 60_000, Tokens: 500, Latency: second}, 2 * headroom, true},
		{"calls at once", limiter.State{Window: 7, Latency: second}, 7, true},
		{"a long pause", limiter.State{PausedUntil: now.Add(10 * time.Minute)}, 0, true},
		{"a short pause", limiter.State{PausedUntil: now.Add(10 * second)}, 0, false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := ofLimiter(tc.limiter, now)
			if s.limited != tc.limited || s.limited && s.calls != tc.calls {
				t.Errorf("got %+v", s)
			}
			if s.limited && s.why == "" {
				t.Error("it does not say why")
			}
		})
	}
}

func TestCapacitiesAdd(t *testing.T) {
	t.Parallel()
	two, three := callCapacity{2, "a", true}, callCapacity{3, "b", true}
	if s := two.plus(three); s.calls != 5 || s.why != "a and b" {
		t.Errorf("together %+v", s)
	}
	if s := two.plus(unlimited()); s.limited {
		t.Errorf("with one that has no limit %+v", s)
	}
	if s := three.min(two); s.calls != 2 {
		t.Errorf("the minimum is %+v", s)
	}
	if s := unlimited().min(three); s.calls != 3 {
		t.Errorf("the minimum is %+v", s)
	}
}

// Only the limits of running runs' models count.
func TestRunningRunsDecide(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	l, err := ledger.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	begin := func(url, model string) {
		t.Helper()
		source, err := l.PutSource(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		profile, err := l.PutProfile(ctx, model, model, "{}")
		if err != nil {
			t.Fatal(err)
		}
		run, _, err := l.OpenRun(ctx, source, profile, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Publish(ctx, ledger.Publication{Run: run.ID}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := NewLimits(LimitsConfig{Ledger: l, Redis: client, RPM: 60, Unlimited: "extractive"})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, limited := f.Calls(ctx); limited {
		t.Error("limited without a run")
	}
	begin("file:///a", "m")
	if calls, why, limited := f.Calls(ctx); !limited || calls != 10*headroom || why == "" {
		t.Errorf("the configured limit leaves %v calls, limited %v: %s", calls, limited, why)
	}
	shared := limiter.New(limiter.Config{
		Redis: client, Endpoint: "http://one.example/v1", RPM: 120, MaxInFlight: 16, Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	permit, err := shared.Acquire(ctx, llm.Call{Model: "m", InputTokens: func() int { return 10 }, OutputTokens: 10, CallWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	permit.Done(llm.Outcome{Latency: time.Second, Usage: llm.Usage{In: 10, Out: 5}})
	if calls, why, limited := f.Calls(ctx); !limited || calls > 2.5 {
		t.Errorf("the limit in force leaves %v calls, limited %v: %s", calls, limited, why)
	}
	quiet := []limiter.State{{Model: "m", Latency: 2 * time.Second}}
	if s := f.ofModel("m", quiet); !s.limited || s.calls != 2*headroom {
		t.Errorf("after a quiet time the configured limit leaves %+v", s)
	}
	begin("file:///b", "extractive")
	if _, _, limited := f.Calls(ctx); limited {
		t.Error("limited although the built-in engine runs")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, limited := f.Calls(ctx); limited {
		t.Error("the last answer does not hold without the ledger")
	}
}

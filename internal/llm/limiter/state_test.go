package limiter

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
)

// TestList: a process without key and endpoint reads the limiters of others.
func TestList(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		limits := Config{
			Redis: r.dial, Endpoint: "https://user:canary@model.test:8443/v1?key=canary", Key: "canary", MaxInFlight: 100, Timeout: time.Minute, RPM: 60, TPM: 90_000,
		}
		read := func() []State {
			t.Helper()
			all, err := List(t.Context(), r.dial)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if got := read(); len(got) != 0 {
			t.Fatalf("before any call: %+v", got)
		}
		l, free := New(limits), New(Config{Redis: r.dial, Endpoint: "http://free.test/v1", MaxInFlight: 4, Timeout: time.Minute})
		call := llm.Call{Model: "m", InputTokens: func() int { return 500 }, OutputTokens: 400, CallWait: time.Minute}
		begin := func(l *Shared) llm.Permit {
			t.Helper()
			p, err := l.Acquire(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		for range 30 {
			a, b := begin(l), begin(free)
			elapse(2 * time.Second)
			a.Done(llm.Outcome{Usage: llm.Usage{In: 500, Out: 100}})
			b.Done(llm.Outcome{Usage: llm.Usage{In: 100, Out: 100}})
		}
		begin(l)
		open := begin(l)
		got := read()
		if len(got) != 2 {
			t.Fatalf("%d limiters, want 2: %+v", len(got), got)
		}
		unlimited, paced := got[0], got[1]
		near := func(what string, got, want, by float64) {
			t.Helper()
			if math.Abs(got-want) > by {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		if unlimited.Model != "m" || unlimited.Endpoint != "free.test" || unlimited.Limited || unlimited.RPM != 0 || unlimited.Wait != 0 {
			t.Errorf("the one without a limit: %+v", unlimited)
		}
		near("its latency", unlimited.Latency.Seconds(), 2, 0.1)
		near("its tokens", unlimited.Tokens, 500, 1)
		if paced.Endpoint != "model.test:8443" || !paced.Limited || paced.InFlight != 2 || paced.Window != 0 || !paced.PausedUntil.IsZero() {
			t.Errorf("the one with limits: %+v", paced)
		}
		near("requests", paced.RPM, 60, 0)
		near("tokens a minute", paced.TPM, 90_000, 0)
		near("latency", paced.Latency.Seconds(), 2, 0.1)
		near("tokens", paced.Tokens, 900, 1)
		near("wait", paced.Wait.Seconds(), 1, 0.1)
		near("used", time.Since(paced.Used).Seconds(), 0, registerEvery.Seconds()+3)

		start := time.Now()
		begin(l)
		near("what it waited then", time.Since(start).Seconds(), paced.Wait.Seconds(), 0.1)

		open.Done(llm.Outcome{Err: &llm.Error{Class: llm.RateLimited, RetryAfter: 30 * time.Second}})
		for _, s := range read() {
			if s.Limited {
				near("the pause", time.Until(s.PausedUntil).Seconds(), 30, 0.1)
				near("wait in the pause", s.Wait.Seconds(), 30, 1.1)
			}
		}
		for _, key := range r.server.Keys() {
			if strings.Contains(r.server.Dump(), "canary") {
				t.Fatalf("a secret is in Redis, under %s or another key", key)
			}
		}
	})
}

// TestLearnedLimitsAreListed: learned limits are listed like those that are set.
func TestLearnedLimitsAreListed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		l := New(Config{Redis: r.dial, Endpoint: "http://model.test", MaxInFlight: 8, Timeout: time.Minute})
		var open []llm.Permit
		for range 5 {
			p, err := l.Acquire(t.Context(), llm.Call{Model: "m", InputTokens: func() int { return 1 }, CallWait: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, p)
		}
		elapse(time.Second)
		open[4].Done(llm.Outcome{Err: &llm.Error{Class: llm.RateLimited, Message: "too many concurrent requests"}})
		all, err := List(t.Context(), r.dial)
		if err != nil || len(all) != 1 || all[0].Window != 4 || !all[0].Limited || all[0].RPM != 0 {
			t.Errorf("got %+v, %v; want a window of 4", all, err)
		}
	})
}

// TestUnusedLimitersAreRemoved: after an hour of Redis time an unused limiter is not listed. The
// next registration removes it from Redis.
func TestUnusedLimitersAreRemoved(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		use := func(model string) {
			t.Helper()
			l := New(Config{Redis: r.dial, Endpoint: "http://model.test", MaxInFlight: 1, Timeout: time.Minute, RPM: 60})
			p, err := l.Acquire(t.Context(), llm.Call{Model: model, InputTokens: func() int { return 1 }, CallWait: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			p.Done(llm.Outcome{})
		}
		models := func() string {
			t.Helper()
			all, err := List(t.Context(), r.dial)
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, s := range all {
				names = append(names, s.Model)
			}
			return strings.Join(names, " ")
		}
		use("old")
		elapse(retention - time.Minute)
		if got := models(); got != "old" {
			t.Errorf("within the hour: %q", got)
		}
		elapse(2 * time.Minute)
		if got := models(); got != "" {
			t.Errorf("after the hour: %q", got)
		}
		use("new")
		if fields, err := r.server.HKeys(listKey); err != nil || len(fields) != 1 {
			t.Errorf("in the list are %v, %v", fields, err)
		}
	})
}

// TestLimiterIsRegisteredRarely: every ten seconds at most, whatever the number of calls.
func TestLimiterIsRegisteredRarely(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		l := New(Config{Redis: r.dial, Endpoint: "http://model.test", MaxInFlight: 1, Timeout: time.Minute})
		noted, last := 0, int64(0)
		for range 600 {
			p, err := l.Acquire(t.Context(), llm.Call{Model: "m", CallWait: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			elapse(100 * time.Millisecond)
			p.Done(llm.Outcome{})
			var note entry
			if err := json.Unmarshal([]byte(r.server.HGet(listKey, p.(*permit).state.name)), &note); err != nil {
				t.Fatal(err)
			}
			if note.At != last {
				noted, last = noted+1, note.At
			}
		}
		if noted < 6 || noted > 7 {
			t.Errorf("noted %d times in a minute", noted)
		}
	})
}

// A base URL may hold a password. The log names the host.
func TestLogNamesTheHost(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		var log bytes.Buffer
		l := New(Config{
			Redis: r.dial, Endpoint: "https://user:canary@model.test:8443/v1?key=canary", Key: "canary", MaxInFlight: 1, Timeout: time.Minute,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		p, err := l.Acquire(t.Context(), llm.Call{Model: "m", CallWait: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		p.Done(llm.Outcome{Err: &llm.Error{Class: llm.RateLimited, RetryAfter: time.Second}})
		if got := log.String(); !strings.Contains(got, "endpoint=model.test:8443 ") || strings.Contains(got, "canary") {
			t.Errorf("log: %s", got)
		}
	})
}

//go:build simulation

package limiter

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestMoreLimits is TestLimits for the other kinds of limits.
func TestMoreLimits(t *testing.T) {
	t.Parallel()
	testLimits(t, []limitCase{
		{name: "unknown concurrency", provider: func() *provider { return &provider{most: 8} }, processes: 2, run: 3 * time.Minute, used: 0.9, refused: 0.02},
		{name: "unknown, four processes", provider: func() *provider { return &provider{perSec: 20} }, processes: 4, skip: 90 * time.Second, run: 3 * time.Minute, used: 0.9, refused: 0.02},
		{name: "tokens", provider: func() *provider { return &provider{tokens: 20_000} }, processes: 4, limits: Config{TPM: 1_200_000}, size: mixed, used: 0.95, refused: 0.005},
		{name: "known", provider: func() *provider { return &provider{perSec: 20} }, processes: 1, limits: Config{RPM: 1200}, used: 0.97, refused: 0.005},
		{name: "known, windows of a second", provider: func() *provider { return &provider{perSec: 20, window: time.Second} }, processes: 4, limits: Config{RPM: 1200}, used: 0.95, refused: 0.005},
		{name: "known, windows of a minute", provider: func() *provider { return &provider{perSec: 20, window: time.Minute} }, processes: 4, limits: Config{RPM: 1200}, used: 0.97, refused: 0.005},
		{name: "announced", provider: func() *provider { return &provider{perSec: 20, headers: true} }, processes: 4, used: 0.97, refused: 0.02},
		{name: "unknown, for longer", provider: func() *provider { return &provider{perSec: 20} }, processes: 1, skip: 90 * time.Second, run: 5 * time.Minute, used: 0.9, refused: 0.02},
		{name: "unknown, says nothing", provider: func() *provider { return &provider{perSec: 20, silent: true} }, processes: 2, skip: 90 * time.Second, run: 5 * time.Minute, used: 0.9, refused: 0.02},
		{name: "unknown tokens", provider: func() *provider { return &provider{tokens: 20_000} }, processes: 2, size: mixed, skip: 90 * time.Second, run: 5 * time.Minute, used: 0.9, refused: 0.02},
		{name: "unknown, windows", provider: func() *provider { return &provider{perSec: 20, window: time.Minute} }, processes: 2, skip: 2 * time.Minute, run: 5 * time.Minute, used: 0.9, refused: 0.02},
		{name: "unknown, windows of a second", provider: func() *provider { return &provider{perSec: 20, window: time.Second} }, processes: 2, skip: 90 * time.Second, run: 5 * time.Minute, used: 0.85, refused: 0.02},
		// A single run uses 83 to 100 % (25 runs measured), so several count together.
		{name: "unknown concurrency, says nothing", provider: func() *provider { return &provider{most: 8, silent: true} }, processes: 2, run: 5 * time.Minute, runs: 3, used: 0.9, refused: 0.02},
	})
}

// TestMoreLimitChanges is TestLimitChanges for every way to know a limit.
func TestMoreLimitChanges(t *testing.T) {
	t.Parallel()
	testChanges(t, []changeCase{
		{"doubled, unknown", 0, 2, 40, false},
		{"halved, announced", 0, 0.5, 10, true},
		{"halved, unknown", 0, 0.5, 10, false},
		{"doubled, announced", 0, 2, 40, true},
		{"doubled, set", 1200, 2, 20, false}, // what the user sets is not exceeded
	})
}

// TestTenMinutesOfRefusals uses an endpoint that refuses everything for ten minutes. Few calls
// are made meanwhile, and the rate recovers soon afterwards.
func TestTenMinutesOfRefusals(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		var asked atomic.Int64
		p := &provider{perSec: 20, latency: 300 * time.Millisecond}
		opens := time.Now().Add(11 * time.Minute)
		shut := time.Now().Add(time.Minute)
		h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if now := time.Now(); now.After(shut) && now.Before(opens) {
				asked.Add(1)
				w.Header().Set("Retry-After", "5")
				reply(w, 429, `{"error":{"message":"Too Many Requests"}}`)
				return
			}
			p.ServeHTTP(w, req)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 13*time.Minute)
		defer cancel()
		wg := load(ctx, t, r, h, 2, Config{}, fixed(200))
		elapse(time.Until(opens) + 45*time.Second)
		before, _, _ := p.count()
		<-ctx.Done()
		wg.Wait()
		after, _, _ := p.count()
		if asked.Load() > 250 {
			t.Errorf("%d calls were made into the shut door", asked.Load())
		}
		if rate := float64(after-before) / 75; rate < 18 {
			t.Errorf("%.1f calls a second after it opened again, want 20", rate)
		}
		t.Logf("%d calls in ten minutes of refusals", asked.Load())
	})
}

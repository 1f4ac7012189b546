//go:build integration

package acceptance

import (
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// With an unreliable endpoint nothing is lost and nothing is paid for twice.
func TestFaults(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) {
		c.Rate500, c.RateTruncate, c.RateError200, c.RateHang = 0.05, 0.01, 0.01, 0.002
	})
	const n = 1000
	u.lines(n)
	p := u.summarize("--request-timeout", "2s", "--retry-base", "50ms")
	p.Until("the first hundred calls", func() bool { return u.paid() >= 100 })
	// Status has checked that the run balances.
	if s := u.status(); s.Documents.Total != n || s.Documents.Dead != 0 {
		t.Errorf("in mid-run: %+v", s.Documents)
	}
	p.Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	stats := u.fake.Stats()
	if stats.Distinct != n || stats.Duplicates != 0 {
		t.Errorf("%d contents were answered, %d of them again, want %d and none", stats.Distinct, stats.Duplicates, n)
	}
	for _, fault := range []string{fakellm.OutcomeFault500, fakellm.OutcomeTruncated, fakellm.OutcomeError200, fakellm.OutcomeHang} {
		if stats.Outcomes[fault] == 0 {
			t.Errorf("the endpoint never answered with %s: nothing was tried", fault)
		}
	}
	if got := len(u.summaries()); got != n {
		t.Errorf("%d summaries, want %d", got, n)
	}
}

// A burst of 429s is waited out: it costs no document an attempt, and the endpoint is not
// called in a tight loop.
func TestRateLimitStorm(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) { c.Rate429, c.Wait429 = 1, fakellm.Duration(time.Second) })
	const n, burst = 60, 3 * time.Second
	u.notes(0, n)
	p := u.summarize("--max-attempts", "2")
	p.Until("the burst is over", func() bool {
		first := u.fake.Stats().First
		return !first.IsZero() && time.Since(first) > burst
	})
	u.set(func(c *fakellm.Config) { c.Rate429 = 0 })
	p.Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	stats := u.fake.Stats()
	if stats.Duplicates != 0 {
		t.Errorf("%d answers were paid for twice", stats.Duplicates)
	}
	// Three seconds with "retry after 1 s" are three rounds, and one for the edges. A round is at
	// most the concurrency of 16.
	if refused := stats.Outcomes[fakellm.OutcomeFault429]; refused > 4*16 {
		t.Errorf("%d calls were made during the burst, want at most %d", refused, 4*16)
	}
	for _, uri := range []string{noteName(0), noteName(n - 1)} {
		if d := u.show(uri); d.Attempts != 1 {
			t.Errorf("%s took %d attempts, want 1: a rate limit is not a failure", uri, d.Attempts)
		}
	}
}

// A wrong key stops the run and costs no document an attempt. With the right key the run
// continues.
func TestHalted(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) { c.Keys = []string{"right"} })
	const n = 200
	u.notes(0, n)
	u.env = []string{"OPENAI_API_KEY=wrong"}
	r := u.summarize().Wait().WantCode(1).Says("401", "Incorrect API key", "key")
	if lines := linesWith(r.Stderr, "Incorrect API key"); lines > 2 {
		t.Errorf("the reason is printed %d times:\n%s", lines, r.Stderr)
	}
	stats := u.fake.Stats()
	if calls := stats.Outcomes[fakellm.OutcomeBadKey]; calls == 0 || calls > 16 {
		t.Errorf("%d calls were made with the wrong key, want at most the 16 in flight", calls)
	}
	first := u.wantTotals("stopped:halted", programtest.Totals{Total: n, Remaining: n})

	// The right key is revoked in mid-run.
	u.env = []string{"OPENAI_API_KEY=right"}
	u.set(latency("30ms"))
	p := u.summarize("--concurrency", "4")
	p.Until("some are done", func() bool { return u.paid() >= 20 })
	u.set(func(c *fakellm.Config) { c.Keys = []string{"another"} })
	p.Wait().WantCode(1).Says("401")
	paid := u.paid()
	if s := u.wantTotals("stopped:halted", programtest.Totals{Total: n, Done: paid, Remaining: n - paid}); s.Run != first.Run {
		t.Errorf("run %s was not continued: %s began", first.Run, s.Run)
	}

	u.env = []string{"OPENAI_API_KEY=another"}
	u.set(latency("0s"))
	u.summarize().Wait().WantCode(0)
	if s := u.wantTotals("finished", programtest.Totals{Total: n, Done: n}); s.Run != first.Run {
		t.Errorf("run %s was not continued: %s began", first.Run, s.Run)
	}
	if stats := u.fake.Stats(); stats.Distinct != n || stats.Duplicates != 0 {
		t.Errorf("%d contents paid, %d again; want %d and none", stats.Distinct, stats.Duplicates, n)
	}
}

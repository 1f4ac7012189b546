package limiter

import (
	"maps"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
)

// TestFlexTeachesNothing holds that a refusal of a flex call for want of capacity, a slow answer
// and a timeout of such a call leave the learned rate and the window as they are.
func TestFlexTeachesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, r *bubbleRedis) {
		l := New(Config{Redis: r.dial, MaxInFlight: 16, Timeout: time.Minute})
		call := func(o llm.Outcome, tier llm.Tier, took time.Duration) {
			t.Helper()
			p, err := l.Acquire(t.Context(), llm.Call{Model: "m", Tier: tier, Timeout: 15 * time.Minute, InputTokens: func() int { return 1 }, CallWait: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			elapse(took)
			o.Latency = took
			p.Done(o)
		}
		answered := llm.Outcome{Usage: llm.Usage{In: 1, Out: 1}}
		for range 20 {
			call(answered, "", 100*time.Millisecond)
		}
		call(llm.Outcome{Err: &llm.Error{Class: llm.RateLimited, Message: "Rate limit reached on requests per min (RPM)"}}, "", time.Millisecond)
		elapse(time.Minute)
		learned := func() map[string]string {
			t.Helper()
			all, err := r.dial.HGetAll(t.Context(), l.state("m").keys[0]).Result()
			if err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(all, func(field, _ string) bool {
				switch field {
				case "rRate", "rRateAt", "rSlow", "rK", "tRate", "window", "ceiling", "cutAt", "cutR", "streak", "over", "refusedAt", "slowAt":
					return false
				}
				return true
			})
			return all
		}
		before := learned()
		if before["rRate"] == "" || before["streak"] != "1" {
			t.Fatalf("nothing was learned from a rate limit: %v", before)
		}
		for range 10 {
			call(llm.Outcome{Err: &llm.Error{Class: llm.Capacity, Status: 429, RetryAfter: time.Minute}}, llm.TierFlex, time.Millisecond)
			call(llm.Outcome{Err: &llm.Error{Class: llm.Transient, Code: "timeout"}}, llm.TierFlex, 15*time.Minute)
		}
		if after := learned(); !maps.Equal(before, after) {
			t.Errorf("learned %v, before %v", after, before)
		}
		call(answered, llm.TierFlex, 10*time.Minute)
		if after := learned(); after["window"] != "" || after["slowAt"] != "" {
			t.Errorf("a slow answer at the flex tier: %v", after)
		}
	})
}

// TestLostCallFollowsItsTimeout holds that a flex call counts as in flight for its own timeout.
func TestLostCallFollowsItsTimeout(t *testing.T) {
	t.Parallel()
	l := New(Config{Timeout: time.Minute})
	if got := l.timeout(llm.Call{Timeout: 15 * time.Minute}); got != 15*time.Minute {
		t.Errorf("timeout %s of a call with its own", got)
	}
	if got := l.timeout(llm.Call{}); got != time.Minute {
		t.Errorf("timeout %s of a call without its own", got)
	}
}

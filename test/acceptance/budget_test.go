//go:build integration

package acceptance

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// dayStatus is what `status -o json` prints about the day.
type dayStatus struct {
	CostUSDDay   *float64 `json:"cost_usd_day"`
	BudgetUSDDay *float64 `json:"budget_usd_day"`
	Message      string   `json:"message"`
}

func (u *user) day(more ...string) dayStatus {
	u.t.Helper()
	var s dayStatus
	u.run(append([]string{"status", "-o", "json"}, more...)...).WantCode(0).Decode(&s)
	return s
}

// A budget of half the total cost is nearly used up and not exceeded. Twice the budget pays for
// the rest.
func TestHalfOfTheEstimate(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("5ms"))
	const n = 240
	u.notes(0, n)
	var plans []struct {
		Estimate struct {
			CostUSD float64 `json:"cost_usd"`
		} `json:"estimate"`
	}
	u.run("enqueue", "docs", "--dry-run", "--base-url", u.url, "-o", "json").WantCode(0).Decode(&plans)
	half := plans[0].Estimate.CostUSD / 2
	u.summarize("--budget-usd", fmt.Sprintf("%.9f", half), "--concurrency", "32").Wait().WantCode(5).Says("budget")
	s := u.status()
	if s.CostUSD == nil || *s.CostUSD > half || *s.CostUSD < 0.95*half {
		t.Fatalf("spent %v of %v", *s.CostUSD, half)
	}
	t.Logf("spent %.2f %% of the cap, %+v", 100**s.CostUSD/half, s.Documents)
	u.run("resume", s.Run, "--budget-usd", fmt.Sprintf("%.9f", 4*half)).WantCode(0)
	u.summarize().Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	u.paidOnce(n)
}

// The reservations of a killed worker's calls count in full: what the provider charged is
// unknown.
func TestKilledCallsCountInFull(t *testing.T) {
	t.Parallel()
	u := newUser(t, func(c *fakellm.Config) { c.RateHang = 1 })
	const n, open = 12, 4
	u.notes(0, n)
	p := u.summarize("--budget-usd", "1", "--concurrency", fmt.Sprint(open))
	p.Until("calls are in flight", func() bool { return u.fake.Stats().InFlight >= open })
	p.Signal(syscall.SIGKILL)
	p.Wait()
	u.set(func(c *fakellm.Config) { c.RateHang = 0 })
	u.summarize().Wait().WantCode(0)
	s := u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	documents := 0.0
	for _, d := range u.summaries() {
		documents += *d.CostUSD
	}
	// The output cap of 400 tokens alone costs 0.00024 USD a call.
	if lost := *s.CostUSD - documents; lost < open*0.00024 || s.Calls != n+open {
		t.Errorf("%d calls, %g USD beyond what the documents cost", s.Calls, lost)
	}
	if day := u.day(); day.CostUSDDay == nil || *day.CostUSDDay != *s.CostUSD || day.BudgetUSDDay != nil {
		t.Errorf("the day: %s, the run %v", toJSON(day), *s.CostUSD)
	}
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A cap on the day holds for all runs together. It counts what was spent before the cap was
// set, and the run continues when the cap is raised.
func TestDayBudget(t *testing.T) {
	t.Parallel()
	u := newUser(t, latency("5ms"))
	const n = 120
	u.notes(0, n)
	u.summarize("--limit", "40").Wait().WantCode(0)
	before := u.day()
	most := *before.CostUSDDay * 2
	arg := fmt.Sprintf("--budget-usd-day=%.9f", most)
	u.summarize("--words", "40", arg).Wait().WantCode(5).Says("budget of the day", "UTC", "--budget-usd-day")
	day := u.day(arg)
	if *day.CostUSDDay > most || *day.CostUSDDay < 0.9*most || *day.BudgetUSDDay != most {
		t.Errorf("of a day's cap of %v: %s", most, toJSON(day))
	}
	s := u.status()
	if s.Phase() != "stopped:budget" || s.Documents.Remaining == 0 {
		t.Errorf("%s, %+v", s.Phase(), s.Documents)
	}
	u.summarize("--words", "40", arg).Wait().WantCode(5)
	u.summarize("--words", "40", "--budget-usd-day=1").Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: n, Done: n})
	u.summarize("--model", "unpriced-model", "--budget-usd-day=1").Wait().WantCode(2).Says("--budget-usd-day", "unpriced-model", "--prices")
	u.run("enqueue", "docs", "--base-url", u.url, "--redis", "redis://localhost:1", "--model", "unpriced-model", "--budget-usd", "1").
		WantCode(2).Says("unpriced-model", "--prices")
}

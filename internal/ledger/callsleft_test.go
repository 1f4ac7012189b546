package ledger_test

import (
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

// CallsLeft counts the calls that a budget allows, with those in flight.
func testCallsLeft(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(3))
	left := func(dayCap *int64) (float64, bool) {
		t.Helper()
		calls, limited, err := f.CallsLeft(ctx, run.ID, dayCap)
		f.ok(err)
		return calls, limited
	}
	budget, dayCap := int64(1000), int64(250)
	if _, limited := left(nil); limited {
		t.Error("a run without a cap is limited")
	}
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, BudgetNano: &budget}))
	if _, limited := left(&dayCap); limited {
		t.Error("a run is limited before any call says what one costs")
	}
	s := &spender{fixture: f, run: run, reserve: 100, cost: 50}
	end, err := s.begin("a")
	f.ok(err)
	if calls, limited := left(nil); !limited || calls != 10 {
		t.Errorf("%v calls, limited %v; want 1 in flight and 9 for the rest of 900", calls, limited)
	}
	end()
	if calls, _ := left(nil); calls != 9.5 {
		t.Errorf("%v calls; want those for 950", calls)
	}
	if calls, _ := left(&dayCap); calls > 2.5 {
		t.Errorf("%v calls; the day allows at most 2.5", calls)
	}
	all := int64(1000)
	s.reserve, s.cost = 950, 950
	end, err = s.begin("b")
	f.ok(err)
	end()
	if calls, limited := left(&all); !limited || calls != 0 {
		t.Errorf("%v calls of a budget that is used up, limited %v", calls, limited)
	}
}

package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// A call of no run counts in the account of the day and against its cap.
func testCallOfNoRun(t *testing.T, db database) {
	l := db.open(t)
	limit, cost := int64(1000), int64(600)
	in := ledger.Reservation{Name: "check 1", Token: 1, Model: "m", ReservedTokens: 10, ReservedNano: &cost, DayCapNano: &limit}
	call, err := l.BeginCheck(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	second := in
	second.Name, second.Token = "check 2", 2
	if _, err := l.BeginCheck(t.Context(), second); !errors.Is(err, ledger.ErrBudget) {
		t.Errorf("beside a reservation: %v", err)
	}
	used := int64(100)
	if err := l.EndCheck(t.Context(), call, in, ledger.ClassOK, ledger.Answer{Endpoint: "h", TokensIn: 8, TokensOut: 2, CostNano: &used}); err != nil {
		t.Fatal(err)
	}
	day, err := l.Today(t.Context())
	if err != nil || day.CostNano != 100 || !day.CostKnown {
		t.Errorf("%+v, %v", day, err)
	}
	// Not made, and so not counted.
	call, err = l.BeginCheck(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.DropCheck(t.Context(), call, second); err != nil {
		t.Fatal(err)
	}
	third := in
	third.Name, third.Token, cost = "check 3", 3, 900
	if _, err := l.BeginCheck(t.Context(), third); err != nil {
		t.Errorf("100 spent of 1000, 900 more: %v", err)
	}
	third.ReservedNano = nil
	if _, err := l.BeginCheck(t.Context(), third); !errors.Is(err, ledger.ErrUnpriced) {
		t.Errorf("without a price: %v", err)
	}
	free := ledger.Reservation{Name: "check 4", Token: 4, Model: "m", ReservedTokens: 10}
	if call, err = l.BeginCheck(t.Context(), free); err != nil {
		t.Fatal(err)
	}
	if err := l.EndCheck(t.Context(), call, free, ledger.ClassOK, ledger.Answer{TokensIn: 1}); err != nil {
		t.Error(err)
	}
	if p, err := l.Prune(t.Context(), time.Hour); err != nil || p.Calls != 0 {
		t.Errorf("calls of this day were pruned: %+v, %v", p, err)
	}
}

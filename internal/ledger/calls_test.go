package ledger_test

import (
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

func testCallTakenBack(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(2))
	budget, reserve := int64(1000), int64(600)
	_, _, err := f.OpenRun(ctx, f.source, f.profile, false, &budget, nil)
	f.ok(err)
	in := ledger.Intent{Run: run.Num, Document: 1, Worker: f.worker, Name: "request", ReservedNano: &reserve, ReservedTokens: 100}
	for range 2 { // the second time there is room for it, and its name is free
		call, _, err := f.BeginCall(ctx, in)
		f.ok(err)
		f.ok(f.DropCall(ctx, call, in))
	}
	_, account, err := f.Totals(ctx, run.Num)
	f.ok(err)
	if account.Calls != 0 {
		t.Errorf("%d calls are booked, and none was made", account.Calls)
	}
	call, _, err := f.BeginCall(ctx, in)
	f.ok(err)
	db.clock.advance(time.Hour)
	must(f.RecoverLapsed(ctx))(t)
	f.ok(f.DropCall(ctx, call, in))
	if _, account, err = f.Totals(ctx, run.Num); err != nil || account.Calls != 1 {
		t.Errorf("the call of a lapsed worker is booked %d times, %v; want once, as lost", account.Calls, err)
	}
}

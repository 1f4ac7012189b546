package ledger_test

import (
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// A refused document waits and uses no attempt. What others get since is read from the calls. A
// halt forgets all refusals.
func testRefusedDocuments(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(3))
	claimed := f.claimAll(run)
	call := func(c ledger.Claimed, name string) {
		in := ledger.Reservation{Run: run.ID, Document: c.Document, Worker: f.worker, Name: name, Model: "m", Token: 1}
		id, _, err := f.BeginCall(ctx, in)
		f.ok(err)
		f.ok(f.EndCall(ctx, id, in, ledger.Answer{Content: "x"}))
	}
	read := func(c ledger.Claimed) ledger.Refusals { return must(f.Refusals(ctx, c))(t) }
	f.ok(f.Refused(ctx, f.worker, claimed[0], ledger.ClassRefused, "odd words", time.Second))
	if got, want := read(claimed[0]), (ledger.Refusals{Class: ledger.ClassRefused, Message: "odd words", Others: true}); got != want {
		t.Errorf("after one refusal %+v, want %+v", got, want)
	}
	f.ok(f.Refused(ctx, f.worker, claimed[1], ledger.ClassBadRequest, "other words", 0))
	if got := read(claimed[2]); got.Suspects != 2 || got.Others || got.Ever || got.Answered || got.Class != "" {
		t.Errorf("the third document sees %+v", got)
	}
	call(claimed[2], "a")
	if got := read(claimed[0]); !got.Answered || !got.Ever || got.Suspects != 0 || !got.Others {
		t.Errorf("after an answer %+v", got)
	}
	if err := f.Refused(ctx, f.worker, claimed[0], ledger.ClassRefused, "late", 0); err == nil {
		t.Error("a stale refusal was booked")
	}
	db.clock.advance(time.Second)
	again := f.claimAll(run)
	if len(again) != 2 || again[0].Refusals != 1 || again[0].Attempts != 0 || again[0].Tries != 0 {
		t.Fatalf("claimed again: %+v", again)
	}
	f.ok(f.Refused(ctx, f.worker, again[0], ledger.ClassRefused, "odd words", time.Hour))
	if !must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Halted, Message: "odd words"}))(t) {
		t.Error("did not stop")
	}
	f.ok(f.Refused(ctx, f.worker, again[1], ledger.ClassRefused, "odd words", 0))
	for _, c := range again {
		if got := read(c); got.Suspects != 0 {
			t.Errorf("after the halt %+v", got)
		}
	}
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	for _, c := range f.claimAll(run) {
		if c.Refusals != 0 || c.Attempts != 0 {
			t.Errorf("after the halt %+v", c)
		}
	}
}

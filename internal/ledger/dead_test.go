package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
)

// dieAll makes all open documents of a run dead letters.
func (f *fixture) dieAll(run ledger.Run, class ledger.Class, message func(uri string) string) {
	f.t.Helper()
	for _, c := range f.claimAll(run) {
		f.ok(f.Dead(f.t.Context(), f.worker, c, ledger.Read{}, class, message(c.URI)))
	}
	f.closeAll(run)
}

func uris(letters []ledger.DeadLetter) string {
	all := make([]string, len(letters))
	for i, d := range letters {
		all[i] = d.URI
	}
	return strings.Join(all, " ")
}

// Dropped dead letters are listed, and a redrive takes them back: in the run that dropped them, and
// in a newer one that skipped them. Documents with a summary are not touched.
func testDroppedAreRedriven(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(4))
	for i, c := range f.claimAll(run) {
		if i == 0 {
			f.ok(f.done(c))
			continue
		}
		f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "refused", "content filter"))
	}
	f.closeAll(run)
	dropped := ledger.DeadFilter{Dropped: true}
	if got := f.dead(dropped); len(got) != 0 {
		t.Errorf("dropped before: %v", got)
	}
	if n := must(f.Drop(ctx, ledger.DeadFilter{Limit: 2}))(t); n != 2 {
		t.Errorf("dropped %d", n)
	}
	f.totals(run, ledger.Totals{Total: 4, Done: 1, Dead: 1, Skipped: 2})
	for _, filter := range []ledger.DeadFilter{dropped, {Dropped: true, Run: run.ID}, {Dropped: true, Class: "refused"}} {
		if got := uris(f.dead(filter)); got != "doc001.txt doc002.txt" {
			t.Errorf("dropped: %s", got)
		}
	}
	redriven := must(f.Redrive(ctx, ledger.DeadFilter{Dropped: true, Limit: 1}, size, true))(t)
	if diff := cmp.Diff(map[ledger.RunID]int64{run.ID: 1}, redriven); diff != "" {
		t.Error(diff)
	}
	f.state(run, ledger.Running)
	f.totals(run, ledger.Totals{Total: 4, Done: 1, Dead: 1, Skipped: 1, Remaining: 1})
	f.work(run)
	f.totals(run, ledger.Totals{Total: 4, Done: 2, Dead: 1, Skipped: 1})

	next, _ := f.plan(false, entries(4))
	f.totals(next, ledger.Totals{Total: 4, Dead: 1, Skipped: 3})
	if got := f.dead(dropped); uris(got) != "doc002.txt" || got[0].RunID != next.ID || got[0].Class != "refused" {
		t.Errorf("dropped in an earlier run: %+v", got)
	}
	redriven = must(f.Redrive(ctx, dropped, size, true))(t)
	if diff := cmp.Diff(map[ledger.RunID]int64{next.ID: 1}, redriven); diff != "" {
		t.Error(diff)
	}
	f.totals(run, ledger.Totals{Total: 4, Done: 2, Dead: 1, Skipped: 1})
	f.totals(next, ledger.Totals{Total: 4, Dead: 1, Skipped: 2, Remaining: 1})
	f.work(next)
	f.state(next, ledger.Finished)
	view := must(f.Documents(ctx, "doc002.txt", 1))(t)[0]
	var events []string
	for _, e := range view.History {
		events = append(events, e.Event)
	}
	if diff := cmp.Diff([]string{"dead", "dropped", "retried", "done"}, events); diff != "" {
		t.Error(diff)
	}

	// A dropped document that has changed is an open one.
	must(f.Drop(ctx, ledger.DeadFilter{}))(t)
	changed := entries(4)
	changed[3].Version = "v2"
	f.plan(false, changed)
	if got := f.dead(dropped); len(got) != 0 {
		t.Errorf("dropped: %v", got)
	}
}

// Dead letters are counted by class and message; a filter by time, group or number selects some.
func testDeadSummary(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	first, _ := f.plan(false, entries(3))
	f.dieAll(first, "exhausted", func(uri string) string { return fmt.Sprintf("server error after %d s (status 500)", len(uri)) })
	db.clock.advance(time.Hour)
	later := db.clock.now()
	second, _ := f.plan(false, entries(8))
	f.dieAll(second, "exhausted", func(uri string) string {
		return fmt.Sprintf("server error after %s s (status 50%d)", uri[3:6], 3*(int(uri[5])%2))
	})
	got := must(f.DeadSummary(ctx, ledger.DeadFilter{}))(t)
	if diff := cmp.Diff(map[ledger.Class]int64{"exhausted": 8}, got.Classes()); diff != "" {
		t.Error(diff)
	}
	type group struct {
		message, example string
		count            int64
		newest           bool
	}
	var groups []group
	for _, g := range got.Groups {
		groups = append(groups, group{g.Message, g.Example, g.Count, g.Newest.Equal(later)})
	}
	want := []group{{"server error after … s (status 500)", "doc006.txt", 5, true}, {"server error after … s (status 503)", "doc007.txt", 3, true}}
	if diff := cmp.Diff(want, groups, cmp.AllowUnexported(group{})); diff != "" {
		t.Error(diff)
	}
	// The dead letters of the first run are in the second, which skips nothing that is dead.
	if diff := cmp.Diff(map[ledger.RunID]int64{second.ID: 8}, got.Runs); diff != "" {
		t.Error(diff)
	}
	of := got.Groups[1].ID
	group1 := f.dead(ledger.DeadFilter{Match: func(d ledger.DeadLetter) bool { return d.Group() == of }})
	if got := uris(group1); got != "doc003.txt doc005.txt doc007.txt" {
		t.Errorf("group %s: %s", of, got)
	}
	if got := f.dead(ledger.DeadFilter{Since: later}); len(got) != 5 {
		t.Errorf("%d since the second run", len(got))
	}
	if got := uris(f.dead(ledger.DeadFilter{Limit: 2, Match: func(d ledger.DeadLetter) bool { return d.URI > "doc003.txt" }})); got != "doc004.txt doc005.txt" {
		t.Errorf("the first two after doc003.txt: %s", got)
	}
}

// The mean cost is that of the summaries whose price is known, also in a later run that skips them.
func testMeanCost(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(3))
	if mean := must(f.MeanCost(ctx, run.ID))(t); mean != nil {
		t.Errorf("mean cost %v of no summaries", *mean)
	}
	for i, c := range f.claimAll(run) {
		s := ledger.Summary{Name: c.URI, Text: "text", Model: "model", Chunks: 1}
		if cost := int64(100 + 200*i); i < 2 {
			s.CostNano = &cost
		}
		f.ok(f.Done(ctx, f.worker, c, ledger.Read{Version: c.Version}, s))
	}
	f.closeAll(run)
	next, _ := f.plan(false, entries(3))
	for _, r := range []ledger.Run{run, next} {
		if mean := must(f.MeanCost(ctx, r.ID))(t); mean == nil || *mean != 200 {
			t.Errorf("mean cost of run %d is %v, want 200", r.ID, mean)
		}
	}
}

// What is dropped is not done by a run with --force that was planned before the drop. It can be
// taken back.
func testDroppedInAForcedRun(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	all := entries(4)
	run, _ := f.plan(false, all)
	for i, c := range f.claimAll(run) {
		if i < 2 {
			f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "refused", "content filter"))
		} else {
			f.ok(f.done(c))
		}
	}
	f.closeAll(run)
	db.clock.advance(time.Minute)
	forced, _ := f.plan(true, all)
	must(f.Stop(ctx, forced.ID, ledger.Stop{Reason: ledger.Paused, Message: "by hand"}))(t)
	f.totals(forced, ledger.Totals{Total: 4, Remaining: 4})
	if n := must(f.Drop(ctx, ledger.DeadFilter{Limit: 1}))(t); n != 1 {
		t.Errorf("dropped %d", n)
	}
	f.totals(run, ledger.Totals{Total: 4, Done: 2, Dead: 1, Skipped: 1})
	f.totals(forced, ledger.Totals{Total: 4, Skipped: 1, Remaining: 3})
	dropped := ledger.DeadFilter{Dropped: true}
	if got := uris(f.dead(dropped)); got != "doc000.txt" {
		t.Errorf("dropped: %s", got)
	}
	if got := must(f.Redrive(ctx, dropped, size, true))(t); got[forced.ID] != 1 {
		t.Errorf("taken back: %v", got)
	}
	f.totals(forced, ledger.Totals{Total: 4, Remaining: 4})
	must(f.Drop(ctx, ledger.DeadFilter{}))(t) // the other dead letter
	f.ok(f.Publish(ctx, ledger.Publication{Run: forced.ID, Resume: true}))
	f.work(forced)
	f.totals(forced, ledger.Totals{Total: 4, Done: 3, Skipped: 1})
	f.state(forced, ledger.Finished)
}

package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

func (f *fixture) counts(want ledger.Counts) {
	f.t.Helper()
	got := must(f.Counts(f.t.Context()))(f.t)
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// The counts of workers stay when the workers have ended, and when their rows are pruned.
func testCountsOutliveWorkers(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	done, calls := ledger.Count{Name: ledger.CountDocuments, Label: ledger.LabelDone}, ledger.Count{Name: ledger.CountCalls, Label: "ok"}
	worked, empty := ledger.Count{Name: ledger.CountWorkers, Label: ledger.LabelWorked}, ledger.Count{Name: ledger.CountWorkers, Label: ledger.LabelEmpty}
	f.ok(f.Renew(ctx, f.worker, ledger.Counts{done: 3, calls: 4}))
	f.ok(f.Renew(ctx, f.worker, ledger.Counts{done: 5}))
	f.ok(f.Renew(ctx, f.worker, ledger.Counts{done: 5})) // the first try was written too
	idle := must(f.Register(ctx, ledger.WorkerProcess{Name: "host-2"}))(t)
	f.counts(ledger.Counts{done: 5, calls: 4})

	f.ok(f.Leave(ctx, f.worker, ledger.Counts{done: 6, worked: 1}))
	f.ok(f.Leave(ctx, idle, ledger.Counts{empty: 1}))
	f.counts(ledger.Counts{done: 6, calls: 4, worked: 1, empty: 1})

	// A killed worker reports nothing more: its open calls count in full.
	f.worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "host-3"}))(t)
	run, _ := f.plan(false, entries(1))
	claimed := f.claimAll(run)[0]
	reserve := int64(700)
	_, _, err := f.BeginCall(ctx, ledger.Reservation{Run: run.ID, Document: claimed.Document, Worker: f.worker, Name: "n", ReservedNano: &reserve, ReservedTokens: 50})
	f.ok(err)
	must(f.Register(ctx, ledger.WorkerProcess{Name: "killed before it had anything"}))(t)
	db.clock.advance(ledger.Lease + time.Second)
	must(f.RecoverLapsed(ctx, dead))(t)
	want := ledger.Counts{
		done: 6, calls: 4, worked: 2, empty: 2, {Name: ledger.CountCalls, Label: "lost"}: 1,
		{Name: ledger.CountCost}: 700, {Name: ledger.CountTokens, Label: ledger.LabelIn}: 50,
	}
	f.counts(want)

	db.clock.advance(48 * time.Hour)
	live := must(f.Register(ctx, ledger.WorkerProcess{Name: "host-4"}))(t)
	f.ok(f.Renew(ctx, live, ledger.Counts{done: 1}))
	if pruned := must(f.Prune(ctx, 24*time.Hour))(t); pruned.Workers != 4 {
		t.Errorf("pruned %+v", pruned)
	}
	want[done]++
	f.counts(want)
	f.ok(f.Renew(ctx, f.worker, ledger.Counts{done: 100})) // of a pruned worker, without effect
	f.counts(want)
	db.clock.advance(48 * time.Hour)
	f.ok(f.Leave(ctx, live, ledger.Counts{done: 2}))
	db.clock.advance(48 * time.Hour)
	must(f.Prune(ctx, 24*time.Hour))(t)
	want[done]++
	f.counts(want)
}

// Skipped and dead documents of plans are counted once, however often a run is planned.
func testPlansAreCounted(t *testing.T, db database) {
	f := setUp(t, db)
	skipped, dead := ledger.Count{Name: ledger.CountDocuments, Label: ledger.LabelSkipped}, ledger.Count{Name: ledger.CountDocuments, Label: ledger.LabelDead}
	all := entries(5)
	all[0].Problem = "may not be read"
	first, _ := f.plan(false, all)
	f.counts(ledger.Counts{dead: 1})
	f.work(first)
	all = append(all, ledger.Entry{URI: "new.txt", Version: "v1"})
	f.planInvisible(false, all[:3], all[3:])
	second, _ := f.plan(false, all[:3], all[3:])
	f.counts(ledger.Counts{dead: 1, skipped: 4}) // the dead letter is an old one
	f.work(second)
	f.plan(false, all)
	f.counts(ledger.Counts{dead: 1, skipped: 9})
}

func testStats(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	budget, tokens := int64(1000), int64(500)
	run, _ := f.plan(false, entries(9))
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, BudgetNano: &budget, BudgetTokens: &tokens}))
	claimed := f.claimAll(run)
	f.ok(f.done(claimed[0]))
	f.ok(f.Dead(ctx, f.worker, claimed[1], ledger.Read{}, "input", "empty"))
	f.ok(f.Dead(ctx, f.worker, claimed[2], ledger.Read{}, "exhausted", "status 500"))
	f.ok(f.Dead(ctx, f.worker, claimed[3], ledger.Read{}, "input", "empty"))
	day := int64(5000)
	s := &spender{fixture: f, run: run, reserve: 400, cost: 100, dayCap: &day}
	end, err := s.begin("a")
	f.ok(err)
	end()
	_, err = s.begin("b")
	f.ok(err)

	other := must(f.PutSource(ctx, "file:///other"))(t)
	cancelled, _, err := f.OpenRun(ctx, other, f.profile, false)
	f.ok(err)
	f.ok(f.LockPlan(ctx, other, f.profile, "planner"))
	must(f.Plan(ctx, cancelled, "planner", entries(7), size, nil))(t)
	f.ok(f.Publish(ctx, ledger.Publication{Run: cancelled.ID}))
	must(f.Stop(ctx, cancelled.ID, ledger.Stop{Reason: ledger.Cancelled, Message: ""}))(t)
	f.ok(f.RecordPlan(ctx, f.source))

	got := must(f.Stats(ctx))(t)
	want := report.Stats{
		Counts: ledger.Counts{}, Remaining: 5, DeadLetters: map[ledger.Class]int64{"input": 2, "exhausted": 1},
		Runs: map[ledger.State]int64{ledger.Running: 1, ledger.Stopped: 1}, Workers: 1,
		Planned:        map[string]time.Time{"file:///docs": db.clock.now().UTC()},
		Budgets:        []report.RunBudget{{Run: run.Name, CapNano: &budget, CapTokens: &tokens, SpentNano: 500, SpentTokens: 2}},
		SpentTodayNano: 500,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

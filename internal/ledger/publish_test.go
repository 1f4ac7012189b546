package ledger_test

import (
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// lockedPlan plans a listing under the lease of "planner", which stays.
func (f *fixture) lockedPlan(batch []ledger.Entry) ledger.Run {
	f.t.Helper()
	ctx := f.t.Context()
	f.ok(f.LockPlan(ctx, f.source, f.profile, "planner"))
	run, _, err := f.OpenRun(ctx, f.source, f.profile, false)
	f.ok(err)
	must(f.Ledger.Plan(ctx, run, "planner", batch, size, nil))(f.t)
	return run
}

func (f *fixture) unlock() {
	f.t.Helper()
	f.ok(f.UnlockPlan(f.t.Context(), f.source, f.profile, "planner"))
}

// nothingToDo fails if a worker sees work of the run.
func (f *fixture) nothingToDo(run ledger.Run, when string) {
	f.t.Helper()
	if p := f.partitions(run); len(p) != 0 {
		f.t.Errorf("%s workers see %d partitions", when, len(p))
	}
}

// What was planned and refused is not begun, and what was confirmed before goes on only if someone
// works on it.
func testRefuse(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	f.ok(f.Leave(ctx, f.worker, nil))

	// A new run.
	run := f.lockedPlan(entries(6))
	if !must(f.Refuse(ctx, run.ID))(t) {
		t.Error("a new run was not stopped")
	}
	f.unlock()
	f.state(run, ledger.Stopped)
	f.nothingToDo(run, "after a refusal")
	if must(f.FinishRun(ctx, run.ID))(t) {
		t.Error("a refused run was finished")
	}

	// A stopped run stays as it is.
	f.lockedPlan(entries(7))
	if must(f.Refuse(ctx, run.ID))(t) {
		t.Error("a stopped run was stopped again")
	}
	open := must(f.Remaining(ctx, run.ID, 3))(t)
	if open.Documents != 7 || open.Planned != 7 || len(open.Sample) != 3 || open.Newest == 0 {
		t.Errorf("remaining %+v", open)
	}
	f.refused(f.Publish(ctx, ledger.Publication{Run: run.ID, Holder: "planner"}), ledger.ErrState)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Holder: "planner", Resume: true}))
	f.unlock()
	f.state(run, ledger.Running)
	if p := f.partitions(run); len(p) != 3 {
		t.Errorf("%d partitions are published", len(p))
	}

	// A running run without a worker is stopped, and one with a worker is not.
	f.lockedPlan(entries(9))
	f.worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "another"}))(t)
	if must(f.Refuse(ctx, run.ID))(t) {
		t.Error("the run of a live worker was stopped")
	}
	f.ok(f.Leave(ctx, f.worker, nil))
	if !must(f.Refuse(ctx, run.ID))(t) {
		t.Error("an interrupted run was not stopped")
	}
	f.unlock()
	f.nothingToDo(run, "after a refusal of an interrupted run")
}

// A run that has nothing left but a plan which no planner can publish is stopped. It stays while a
// planner has the lease.
func testPlanWithoutPlanner(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(4))
	f.lockedPlan(entries(6))
	f.work(run)
	f.state(run, ledger.Running)
	f.totals(run, ledger.Totals{Total: 6, Done: 4, Remaining: 2})
	db.clock.advance(ledger.PlanLease + time.Second) // the planner was killed
	if !must(f.FinishRun(ctx, run.ID))(t) {
		t.Error("the run is not over")
	}
	f.state(run, ledger.Stopped)
	if got := must(f.RunByID(ctx, run.ID))(t); got.Reason != ledger.Paused || got.Message != ledger.NotConfirmed || !got.Finished.IsZero() {
		t.Errorf("the run is %+v", got)
	}
	f.nothingToDo(run, "after the planner was killed")
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	f.work(run)
	f.state(run, ledger.Finished)
}

// A confirmation covers the partitions that it has seen, under the lease that it was asked under.
func testConfirmationCoversWhatItSaw(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(2))
	for _, c := range f.claimAll(run) {
		f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "exhausted", "status 500"))
	}
	f.lockedPlan(entries(6))
	open := must(f.Remaining(ctx, run.ID, 0))(t)
	must(f.Redrive(ctx, ledger.DeadFilter{}, size, false))(t)
	f.refused(f.Publish(ctx, ledger.Publication{Run: run.ID, Holder: "another", Newest: open.Newest}), ledger.ErrPlanning)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Holder: "planner", Newest: open.Newest}))
	f.unlock()
	f.work(run)
	f.totals(run, ledger.Totals{Total: 6, Done: 4, Remaining: 2})
	f.state(run, ledger.Stopped)
}

// Dead letters that are redriven without publishing them wait for a confirmation.
func testRedrivenUnpublished(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(3))
	for _, c := range f.claimAll(run) {
		f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "exhausted", "status 500"))
	}
	f.closeAll(run)
	f.state(run, ledger.Finished)
	must(f.Redrive(ctx, ledger.DeadFilter{}, size, false))(t)
	f.totals(run, ledger.Totals{Total: 3, Remaining: 3})
	f.nothingToDo(run, "before a confirmation")
	must(f.FinishRun(ctx, run.ID))(t)
	f.state(run, ledger.Stopped)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	f.work(run)
	f.totals(run, ledger.Totals{Total: 3, Done: 3})
}

// A sample is published alone, and the rest waits, also what was published before.
func testSample(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(10))
	f.refused(f.Publish(ctx, ledger.Publication{Run: run.ID, Sample: 3}), ledger.ErrWorkers)
	f.ok(f.Leave(ctx, f.worker, nil))
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Sample: 3}))
	f.worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "another"}))(t)
	f.work(run)
	f.totals(run, ledger.Totals{Total: 10, Done: 3, Remaining: 7})
	f.state(run, ledger.Stopped)
	f.nothingToDo(run, "after a sample")
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true, Sample: 100}))
	f.work(run)
	f.totals(run, ledger.Totals{Total: 10, Done: 10})
	f.state(run, ledger.Finished)
}

// listing plans a listing under the lease, as a command does, and leaves it unconfirmed.
func (f *fixture) listing(force bool, batch []ledger.Entry) ledger.Run {
	f.t.Helper()
	run, _ := f.planInvisible(force, batch)
	f.ok(f.ForgetUnlisted(f.t.Context(), run.ID))
	return run
}

// A plan that was not confirmed does not become that of the next command: neither its documents,
// which other filters found, nor its --force.
func testUnconfirmedPlanIsForgotten(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	f.ok(f.Leave(ctx, f.worker, nil))
	all := entries(8)
	run := f.listing(false, all)
	must(f.Refuse(ctx, run.ID))(t)
	if again := f.listing(false, all[2:5]); again.ID != run.ID {
		t.Error("a new run was begun")
	}
	f.totals(run, ledger.Totals{Total: 3, Remaining: 3})
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	f.listing(false, all[:1]) // what is published stays
	f.totals(run, ledger.Totals{Total: 4, Remaining: 4})
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID}))
	f.worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "another"}))(t)
	f.work(run)
	f.totals(run, ledger.Totals{Total: 4, Done: 4})
	f.state(run, ledger.Finished)

	db.clock.advance(time.Minute)
	forced := f.listing(true, all[:4])
	f.totals(forced, ledger.Totals{Total: 4, Remaining: 4})
	if !must(f.RunByID(ctx, forced.ID))(t).ForcedAt.IsZero() {
		t.Error("a run is forced before its plan is confirmed")
	}
	must(f.Refuse(ctx, forced.ID))(t)
	f.listing(false, all[:5])
	f.totals(forced, ledger.Totals{Total: 5, Skipped: 4, Remaining: 1})
}

// The same holds for a run that has done work: what --force would do again is done or dead as
// before.
func testUnconfirmedForceOfARun(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	all := entries(6)
	run, _ := f.plan(false, all)
	claims := f.claimAll(run)
	for _, c := range claims[:2] {
		f.ok(f.done(c))
	}
	f.ok(f.Dead(ctx, f.worker, claims[2], ledger.Read{}, "exhausted", "status 500"))
	f.ok(f.Leave(ctx, f.worker, nil))
	db.clock.advance(time.Minute)
	f.listing(true, all)
	f.totals(run, ledger.Totals{Total: 6, Remaining: 6})
	f.listing(true, all) // again
	f.listing(false, all)
	f.totals(run, ledger.Totals{Total: 6, Done: 2, Dead: 1, Remaining: 3})
	if got := must(f.RunByID(ctx, run.ID))(t); !got.ForcedAt.IsZero() {
		t.Errorf("the run is forced at %s", got.ForcedAt)
	}
	f.listing(true, all)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID}))
	if got := must(f.RunByID(ctx, run.ID))(t); got.ForcedAt.IsZero() {
		t.Error("a confirmed plan does not force the run")
	}
	f.listing(false, all)
	f.totals(run, ledger.Totals{Total: 6, Remaining: 6})
}

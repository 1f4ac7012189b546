package ledger_test

import (
	"maps"
	"math"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// testPace works on documents at a steady rate with two workers, and pauses for ten minutes. The
// measured pace is right at any time after the first seconds, also after the pause and after one
// worker was replaced.
func testPace(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(1000))
	claims := map[ledger.WorkerID][]ledger.Claimed{}
	partitions := f.partitions(run)
	step := func(seconds int, workers ...ledger.WorkerID) {
		t.Helper()
		for range seconds {
			for _, w := range workers {
				f.ok(f.Renew(ctx, w, nil))
				for range 3 { // documents per second and worker
					if len(claims[w]) == 0 {
						claims[w] = must(f.Claim(ctx, w, partitions[0].ID, 64))(t)
						partitions = partitions[1:]
					}
					c := claims[w][0]
					claims[w] = claims[w][1:]
					f.ok(f.Done(ctx, w, c, ledger.Read{Version: "v1", SHA256: "x"}, ledger.Summary{Name: c.URI, Text: "Short."}))
				}
			}
			db.clock.advance(time.Second)
		}
	}
	check := func(when string, want float64) {
		t.Helper()
		if got := must(f.Pace(ctx, run.ID))(t); math.Abs(got-want) > 0.1*want {
			t.Errorf("%s: %.2f documents/s, want %v", when, got, want)
		}
	}
	second := must(f.Register(ctx, ledger.WorkerProcess{Name: "host-2"}))(t)
	check("before the work", 0)
	step(10, f.worker, second)
	check("after 10 s", 6)
	step(80, f.worker, second)
	check("after 90 s", 6)
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Paused, Message: "paused"}))(t)
	for range 60 {
		db.clock.advance(10 * time.Second)
		f.ok(f.Renew(ctx, f.worker, nil))
		f.ok(f.Renew(ctx, second, nil))
		f.ok(f.FoldWork(ctx))
	}
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	step(10, f.worker, second)
	check("10 s after a pause of 10 minutes", 6)
	f.ok(f.Leave(ctx, second, nil))
	check("with one worker left", 3)
	third := must(f.Register(ctx, ledger.WorkerProcess{Name: "host-3"}))(t)
	step(10, f.worker, third)
	check("with a new worker", 6)
	// A short pause counts too.
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Paused, Message: "paused"}))(t)
	db.clock.advance(20 * time.Second)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	step(20, f.worker, third)
	check("20 s after a pause of 20 s", 6)
	f.ok(f.Leave(ctx, f.worker, nil))
	f.ok(f.Leave(ctx, third, nil))
	check("without a worker", 0)
}

// testReuse counts documents whose summary the ledger had, also after their intervals were folded.
func testReuse(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(4))
	cost := int64(2_000_000)
	claimed := f.claimAll(run)
	f.ok(f.Done(ctx, f.worker, claimed[0], ledger.Read{}, ledger.Summary{Name: "same", Text: "Short.", CostNano: &cost}))
	known := must(f.Summary(ctx, "same", time.Time{}))(t)
	f.ok(f.Done(ctx, f.worker, claimed[1], ledger.Read{}, known))
	f.ok(f.Dead(ctx, f.worker, claimed[2], ledger.Read{}, ledger.ClassInput, "empty"))
	db.clock.advance(time.Hour)
	f.ok(f.Renew(ctx, f.worker, nil))
	f.ok(f.FoldWork(ctx))
	f.ok(f.Done(ctx, f.worker, claimed[3], ledger.Read{}, known))
	f.ok(f.FoldWork(ctx))
	if got := must(f.Reuse(ctx, run.ID))(t); got != (ledger.Reuse{Documents: 2, SavedNano: 2 * cost}) {
		t.Errorf("reuse %+v", got)
	}
}

// testWorkersOfARun lists the workers that may work on a run, with what they wait for.
func testWorkersOfARun(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(3))
	other := must(f.Register(ctx, ledger.WorkerProcess{Name: "host-2", Process: "p", Runs: []ledger.RunID{run.ID + 1}}))(t)
	own := must(f.Register(ctx, ledger.WorkerProcess{Name: "host-3", Process: "q", Runs: []ledger.RunID{run.ID + 10, run.ID}}))(t)
	f.claimAll(run)
	wait := ledger.Wait{Reason: ledger.WaitEndpoint, Endpoint: "llm", Since: db.clock.now().UTC(), Cause: "500"}
	f.ok(f.SetWait(ctx, own, &wait))
	workers := must(f.Workers(ctx, run.ID))(t)
	if len(workers) != 2 || workers[0].ID != f.worker || workers[0].Claims != 3 || workers[0].Wait != nil ||
		workers[1].ID != own || workers[1].Name != "host-3" || workers[1].Process != "q" || workers[1].Wait == nil || *workers[1].Wait != wait {
		t.Fatalf("workers %+v", workers)
	}
	f.ok(f.SetWait(ctx, own, nil))
	processes := map[ledger.WorkerID]string{}
	must(f.RecoverLapsed(ctx, func(worker ledger.WorkerID, process string, lapsed bool) bool {
		processes[worker] = process
		return lapsed || process == "another"
	}))(t)
	if want := map[ledger.WorkerID]string{f.worker: "", other: "p", own: "q"}; !maps.Equal(processes, want) {
		t.Errorf("processes %v, want %v", processes, want)
	}
	db.clock.advance(13 * time.Second)
	f.ok(f.Renew(ctx, own, nil))
	workers = must(f.Workers(ctx, run.ID))(t)
	if len(workers) != 2 || !workers[0].Silent || workers[1].Silent || workers[1].Wait != nil {
		t.Errorf("workers %+v", workers)
	}
	must(f.RecoverLapsed(ctx, func(_ ledger.WorkerID, process string, _ bool) bool { return process == "q" }))(t)
	if workers = must(f.Workers(ctx, run.ID))(t); len(workers) != 1 || workers[0].ID != f.worker {
		t.Errorf("after the end of a process: workers %+v", workers)
	}
	db.clock.advance(ledger.Lease) // it holds documents until it is recovered
	if workers = must(f.Workers(ctx, run.ID))(t); len(workers) != 1 || workers[0].ID != f.worker {
		t.Errorf("workers %+v", workers)
	}
	if _, err := f.RecoverLapsed(ctx, dead); err != nil {
		t.Fatal(err)
	}
	if workers = must(f.Workers(ctx, run.ID))(t); len(workers) != 0 {
		t.Errorf("workers %+v", workers)
	}
}

// testStanding counts what becomes of open documents next.
func testStanding(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	want := func(run ledger.Run, want ledger.Standing) {
		t.Helper()
		got := must(f.Standing(ctx, run.ID))(t)
		if !got.NextDue.Equal(want.NextDue) {
			t.Errorf("next due %s, want %s", got.NextDue, want.NextDue)
		}
		got.NextDue, want.NextDue = time.Time{}, time.Time{}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	run, _ := f.planInvisible(false, entries(5))
	want(run, ledger.Standing{Planned: 5})
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID}))
	want(run, ledger.Standing{Due: 1})
	claimed := f.claimAll(run)
	want(run, ledger.Standing{Claimed: 5})
	f.ok(f.Failed(ctx, f.worker, claimed[0], "transient", "500", 10*time.Second))
	f.ok(f.Failed(ctx, f.worker, claimed[1], "transient", "500", 20*time.Second))
	want(run, ledger.Standing{Claimed: 3, Later: 2, NextDue: db.clock.now().Add(10 * time.Second)})
	f.ok(f.Release(ctx, f.worker, claimed[2], 0))
	want(run, ledger.Standing{Due: 1})
	alive := must(f.PlannerAlive(ctx, run))(t)
	f.ok(f.LockPlan(ctx, run.SourceID, run.ProfileID, "planner"))
	if !must(f.PlannerAlive(ctx, run))(t) || alive {
		t.Error("the planner is alive only while it has the lease")
	}
}

// testOthers tells what other workers do for a run since a mark.
func testOthers(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(4))
	own := must(f.Register(ctx, ledger.WorkerProcess{Name: "own"}))(t)
	check := func(when string, since ledger.Mark, want ledger.Others) {
		t.Helper()
		if got := must(f.Others(ctx, run.ID, own, since))(t); got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	reservation := func(worker ledger.WorkerID, name string) ledger.Reservation {
		return ledger.Reservation{Run: run.ID, Document: 1, Worker: worker, Name: name, ReservedTokens: 1}
	}
	claimed := f.claimAll(run)
	early, _, err := f.BeginCall(ctx, reservation(f.worker, "early"))
	f.ok(err)
	db.clock.advance(time.Minute)
	f.ok(f.Renew(ctx, f.worker, nil))
	f.ok(f.Renew(ctx, own, nil))
	mark := must(f.Mark(ctx))(t)
	check("at first", mark, ledger.Others{Live: 1, Claims: 4})
	f.ok(f.EndCall(ctx, early, reservation(f.worker, "early"), ledger.Answer{TokensIn: 1}))
	check("after a call from before the mark", mark, ledger.Others{Live: 1, Claims: 4})
	for name, worker := range map[string]ledger.WorkerID{"ours": own, "fails": f.worker} {
		call, _, err := f.BeginCall(ctx, reservation(worker, name))
		f.ok(err)
		if worker == own {
			f.ok(f.EndCall(ctx, call, reservation(worker, name), ledger.Answer{TokensIn: 1}))
		} else {
			f.ok(f.FailCall(ctx, call, reservation(worker, name), ledger.Class("halted"), ledger.Answer{}))
		}
	}
	check("after a call of its own and one that failed", mark, ledger.Others{Live: 1, Claims: 4})
	call, _, err := f.BeginCall(ctx, reservation(f.worker, "later"))
	f.ok(err)
	check("with a call in flight", mark, ledger.Others{Live: 1, Claims: 4})
	f.ok(f.EndCall(ctx, call, reservation(f.worker, "later"), ledger.Answer{TokensIn: 1}))
	f.ok(f.Done(ctx, f.worker, claimed[0], ledger.Read{}, ledger.Summary{Name: "a", Text: "Short."}))
	check("after a document", mark, ledger.Others{Live: 1, Claims: 3, Ended: 1, Answers: 1})
	db.clock.advance(13 * time.Second)
	check("when it was not renewed", mark, ledger.Others{Ended: 1, Answers: 1})
	f.ok(f.Leave(ctx, f.worker, nil))
	check("when it has ended", mark, ledger.Others{})
}

package ledger_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// clock is ledger time that a test moves by hand.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli())
	return c
}

// database is the place of one test's ledger; each Open of its URL is one more process.
type database struct {
	url   string
	clock *clock
}

func (d database) open(t *testing.T) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), d.url, ledger.Options{Now: d.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	conform(t, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "ledger.db") })
}

// conform runs the tests that every ledger must pass, on one kind of database.
func conform(t *testing.T, newURL func(*testing.T) string) {
	for name, test := range map[string]func(*testing.T, database){
		"MigrateAtOnce":                     testMigrateAtOnce,
		"PlanThenWork":                      testPlanThenWork,
		"SecondRunSkips":                    testSecondRunSkips,
		"FirstOfEqualURIsCounts":            testFirstOfEqualURIsCounts,
		"PlanIsInvisible":                   testPlanIsInvisible,
		"KilledPlanIsContinued":             testKilledPlanIsContinued,
		"SourceGrowsDuringRun":              testSourceGrowsDuringRun,
		"UnreadableIsDeadOnce":              testUnreadableIsDeadOnce,
		"GoneAndBack":                       testGoneAndBack,
		"Force":                             testForce,
		"FlaggedAreCounted":                 testFlaggedAreCounted,
		"PlanningLease":                     testPlanningLease,
		"StaleOutcomeIsRefused":             testStaleOutcomeIsRefused,
		"LapsedWorkerIsRecovered":           testLapsedWorkerIsRecovered,
		"LapsedWorkerClaimsNothing":         testLapsedWorkerClaimsNothing,
		"LeaveReleasesClaims":               testLeaveReleasesClaims,
		"CrashCountIsKept":                  testCrashCountIsKept,
		"CountedCrashStays":                 testCountedCrashStays,
		"RetryIsNotDueAtOnce":               testRetryIsNotDueAtOnce,
		"RefusedDocuments":                  testRefusedDocuments,
		"StopAndResume":                     testStopAndResume,
		"QuotaResets":                       testQuotaResets,
		"Refuse":                            testRefuse,
		"UnconfirmedForceOfARun":            testUnconfirmedForceOfARun,
		"UnconfirmedPlanIsForgotten":        testUnconfirmedPlanIsForgotten,
		"PlanWithoutPlanner":                testPlanWithoutPlanner,
		"ConfirmationCoversWhatItSaw":       testConfirmationCoversWhatItSaw,
		"RedrivenUnpublished":               testRedrivenUnpublished,
		"Sample":                            testSample,
		"CancelledRunIsOver":                testCancelledRunIsOver,
		"CallsOfOneNamePayOnce":             testCallsOfOneNamePayOnce,
		"CallIsRecordedOnce":                testCallIsRecordedOnce,
		"CallOfNoRun":                       testCallOfNoRun,
		"TraitsOfConcurrentWorkers":         testTraitsOfConcurrentWorkers,
		"Budget":                            testBudget,
		"BudgetWaitsForInFlight":            testBudgetWaitsForInFlight,
		"DroppedCallCostsNothing":           testDroppedCallCostsNothing,
		"BudgetNeedsPrices":                 testBudgetNeedsPrices,
		"BudgetSetWhileCalling":             testBudgetSetWhileCalling,
		"DayBudget":                         testDayBudget,
		"CallsLeft":                         testCallsLeft,
		"DayBudgetSetWhileCalling":          testDayBudgetSetWhileCalling,
		"DayAndRunBudget":                   testDayAndRunBudget,
		"DayOutlivesPrune":                  testDayOutlivesPrune,
		"LostCallCountsInFull":              testLostCallCountsInFull,
		"RedriveKeepsAttempts":              testRedriveKeepsAttempts,
		"DropAcceptsTheLoss":                testDropAcceptsTheLoss,
		"DroppedInAForcedRun":               testDroppedInAForcedRun,
		"DroppedAreRedriven":                testDroppedAreRedriven,
		"DeadSummary":                       testDeadSummary,
		"MeanCost":                          testMeanCost,
		"ConcurrentClaims":                  testConcurrentClaims,
		"TotalsBalanceDuringWork":           testTotalsBalanceDuringWork,
		"Prune":                             testPrune,
		"PartitionsAreBalanced":             testPartitionsAreBalanced,
		"DocumentsAreFound":                 testDocumentsAreFound,
		"DocumentUnderTwoProfiles":          testDocumentUnderTwoProfiles,
		"ProfileInUse":                      testProfileInUse,
		"SourceProfilesNewestFinishedFirst": testSourceProfilesNewestFinishedFirst,
		"SummariesByFilter":                 testSummariesByFilter,
		"PrunableMatchesPrune":              testPrunableMatchesPrune,
		"DeadLettersInPages":                testDeadLettersInPages,
		"RedriveWhilePlanning":              testRedriveWhilePlanning,
		"CountsOutliveWorkers":              testCountsOutliveWorkers,
		"PlansAreCounted":                   testPlansAreCounted,
		"Stats":                             testStats,
		"QueueMark":                         testQueueMark,
		"ClaimHistories":                    testClaimHistories,
		"LifeOfADocument":                   testLifeOfADocument,
		"EqualCallsTogether":                testEqualCallsTogether,
		"AnswersBeforeAForcedRunTogether":   testAnswersBeforeAForcedRunTogether,
		"Service":                           testService,
		"BudgetTogether":                    testBudgetTogether,
		"DayBudgetTogether":                 testDayBudgetTogether,
		"EndsTogether":                      testEndsTogether,
		"DoneTogether":                      testDoneTogether,
		"FieldsOfLines":                     testFieldsOfLines,
		"Pace":                              testPace,
		"Reuse":                             testReuse,
		"WorkersOfARun":                     testWorkersOfARun,
		"Others":                            testOthers,
		"Standing":                          testStanding,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, database{url: newURL(t), clock: newClock()})
		})
	}
}

// fixture is a ledger with a source, a profile and a worker.
type fixture struct {
	*ledger.Ledger
	report.Reports
	t       *testing.T
	db      database
	source  ledger.SourceID
	profile ledger.ProfileID
	worker  ledger.WorkerID
}

func setUp(t *testing.T, db database) *fixture {
	t.Helper()
	l := db.open(t)
	f := &fixture{Ledger: l, Reports: report.New(l), t: t, db: db}
	f.source = must(f.PutSource(t.Context(), "file:///docs"))(t)
	f.profile = must(f.PutProfile(t.Context(), "hash", "model", "{}"))(t)
	f.worker = must(f.Register(t.Context(), ledger.WorkerProcess{Name: "host-1"}))(t)
	return f
}

// dead accepts every lapsed worker as dead.
func dead(_ ledger.WorkerID, _ string, lapsed bool) bool { return lapsed }

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func entries(n int) []ledger.Entry {
	all := make([]ledger.Entry, n)
	for i := range all {
		all[i] = ledger.Entry{URI: fmt.Sprintf("doc%03d.txt", i), Version: "v1", Size: 100, Modified: time.Unix(1000, 0)}
	}
	return all
}

var size = ledger.PartitionSize{Documents: 4, Bytes: 1 << 20}

// plan plans a listing and publishes it.
func (f *fixture) plan(force bool, batches ...[]ledger.Entry) (ledger.Run, ledger.PlanCount) {
	f.t.Helper()
	run, count := f.planInvisible(force, batches...)
	f.ok(f.Publish(f.t.Context(), ledger.Publication{Run: run.ID}))
	must(f.FinishRun(f.t.Context(), run.ID))(f.t)
	return must(f.RunByID(f.t.Context(), run.ID))(f.t), count
}

func (f *fixture) planInvisible(force bool, batches ...[]ledger.Entry) (ledger.Run, ledger.PlanCount) {
	f.t.Helper()
	ctx := f.t.Context()
	f.ok(f.LockPlan(ctx, f.source, f.profile, "planner"))
	run, _, err := f.OpenRun(ctx, f.source, f.profile, force)
	f.ok(err)
	var total ledger.PlanCount
	for _, batch := range batches {
		total.Add(must(f.Plan(ctx, run, "planner", batch, size, nil))(f.t))
	}
	_, err = f.MarkGone(ctx, run, total.Listed, func(string, time.Time) bool { return true })
	f.ok(err)
	f.ok(f.UnlockPlan(ctx, f.source, f.profile, "planner"))
	return run, total
}

func (f *fixture) partitions(run ledger.Run) []ledger.Partition {
	f.t.Helper()
	var all []ledger.Partition
	f.ok(f.OpenPartitions(f.t.Context(), run.ID, func(page []ledger.Partition) error {
		all = append(all, page...)
		return nil
	}))
	return all
}

func (f *fixture) claimAll(run ledger.Run) (claimed []ledger.Claimed) {
	f.t.Helper()
	for _, p := range f.partitions(run) {
		claimed = append(claimed, must(f.Claim(f.t.Context(), f.worker, p.ID, 1000))(f.t)...)
	}
	return claimed
}

func (f *fixture) done(c ledger.Claimed) error {
	return f.Done(f.t.Context(), f.worker, c, ledger.Read{Version: c.Version, SHA256: "sha-" + c.URI},
		ledger.Summary{Name: "summary of " + c.URI + c.Version, Text: "text", Model: "model", Chunks: 1})
}

func (f *fixture) closeAll(run ledger.Run) {
	f.t.Helper()
	for _, p := range f.partitions(run) {
		f.ok(f.ClosePartition(f.t.Context(), p.ID))
	}
}

// work does all open documents of a run and returns their number.
func (f *fixture) work(run ledger.Run) int {
	f.t.Helper()
	claimed := f.claimAll(run)
	for _, c := range claimed {
		f.ok(f.done(c))
	}
	f.closeAll(run)
	return len(claimed)
}

func (f *fixture) totals(run ledger.Run, want ledger.Totals) {
	f.t.Helper()
	got, _, err := f.Totals(f.t.Context(), run.ID)
	f.ok(err)
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("totals (-want +got):\n%s", diff)
	}
	if !got.Balanced() {
		f.t.Errorf("totals do not balance: %+v", got)
	}
}

func (f *fixture) state(run ledger.Run, want ledger.State) {
	f.t.Helper()
	if got := must(f.RunByID(f.t.Context(), run.ID))(f.t); got.State != want {
		f.t.Errorf("run is %s (%s), want %s", got.State, got.Reason, want)
	}
}

func (f *fixture) refused(err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("error %v, want %v", err, want)
	}
}

func testMigrateAtOnce(t *testing.T, db database) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			l, err := ledger.Open(t.Context(), db.url, ledger.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func testPlanThenWork(t *testing.T, db database) {
	f := setUp(t, db)
	run, count := f.plan(false, entries(10))
	if count.Listed != 10 || count.Pending != 10 || count.Bytes != 1000 {
		t.Errorf("count %+v", count)
	}
	f.state(run, ledger.Running)
	f.totals(run, ledger.Totals{Total: 10, Remaining: 10})
	if n := f.work(run); n != 10 {
		t.Errorf("claimed %d of 10", n)
	}
	f.totals(run, ledger.Totals{Total: 10, Done: 10})
	f.state(run, ledger.Finished)
	var uris []string
	f.ok(f.Summaries(t.Context(), report.SummaryFilter{Run: run.ID}, func(e ledger.Exported) error {
		uris = append(uris, e.URI+" "+e.ContentSHA256)
		return nil
	}))
	if len(uris) != 10 || uris[3] != "doc003.txt sha-doc003.txt" {
		t.Errorf("exported %q", uris)
	}
}

func testSecondRunSkips(t *testing.T, db database) {
	f := setUp(t, db)
	first, _ := f.plan(false, entries(10))
	f.work(first)
	changed := append(entries(10), ledger.Entry{URI: "new.txt", Version: "v1"})
	changed[4].Version = "v2"
	second, count := f.plan(false, changed)
	if second.ID == first.ID {
		t.Fatal("a finished run was continued")
	}
	if count.Skipped != 9 || count.Pending != 2 {
		t.Errorf("count %+v", count)
	}
	f.totals(second, ledger.Totals{Total: 11, Skipped: 9, Remaining: 2})
	f.work(second)
	f.totals(second, ledger.Totals{Total: 11, Skipped: 9, Done: 2})
	third, _ := f.plan(false, changed)
	f.state(third, ledger.Finished)
	f.totals(third, ledger.Totals{Total: 11, Skipped: 11})
}

func testFirstOfEqualURIsCounts(t *testing.T, db database) {
	f := setUp(t, db)
	e := entries(2)
	twin := e[0]
	twin.Version, twin.Locator = "other", "other"
	run, count := f.plan(false, []ledger.Entry{e[0], twin}, []ledger.Entry{twin, e[1]})
	if count.Repeated != 2 || count.Listed != 2 {
		t.Errorf("count %+v", count)
	}
	for _, c := range f.claimAll(run) {
		if c.Version != "v1" {
			t.Errorf("claimed %+v", c)
		}
		f.ok(f.done(c))
	}
	f.closeAll(run)
	second, count := f.plan(false, []ledger.Entry{e[0], twin}, []ledger.Entry{twin, e[1]})
	if count.Repeated != 2 || count.Skipped != 2 {
		t.Errorf("second count %+v", count)
	}
	f.totals(second, ledger.Totals{Total: 2, Skipped: 2})
}

func testPlanIsInvisible(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.planInvisible(false, entries(3))
	if p := f.partitions(run); len(p) != 0 {
		t.Errorf("visible before it was published: %+v", p)
	}
	for id := range ledger.PartitionID(5) {
		if c := must(f.Claim(t.Context(), f.worker, id, 10))(t); len(c) != 0 {
			t.Errorf("claimed %+v", c)
		}
	}
	f.totals(run, ledger.Totals{Total: 3, Remaining: 3})
}

func testKilledPlanIsContinued(t *testing.T, db database) {
	f := setUp(t, db)
	all := entries(10)
	half, _ := f.planInvisible(false, all[:6])
	run, count := f.plan(false, all)
	if run.ID != half.ID {
		t.Error("a new run was begun")
	}
	if count.Pending != 4 || count.Unfinished != 6 {
		t.Errorf("count %+v", count)
	}
	if n := f.work(run); n != 10 {
		t.Errorf("worked on %d", n)
	}
	f.state(run, ledger.Finished)
}

func testSourceGrowsDuringRun(t *testing.T, db database) {
	f := setUp(t, db)
	all := entries(10)
	run, _ := f.plan(false, all[:8])
	claimed := f.claimAll(run)
	for _, c := range claimed[:3] {
		f.ok(f.done(c))
	}
	all[0].Version, all[5].Version = "v2", "v2" // one done, one in flight
	again, count := f.plan(false, all)
	if again.ID != run.ID {
		t.Fatal("a new run was begun")
	}
	if count.Pending != 3 || count.Unfinished != 7 {
		t.Errorf("count %+v", count)
	}
	f.totals(run, ledger.Totals{Total: 10, Done: 2, Remaining: 8})
	for _, c := range claimed[3:] {
		f.ok(f.done(c))
	}
	f.work(run)
	f.totals(run, ledger.Totals{Total: 10, Done: 10})
	f.state(run, ledger.Finished)
	next, count := f.plan(false, all)
	if count.Pending != 1 { // the worker read the old version of doc005
		t.Errorf("next count %+v", count)
	}
	f.work(next)
}

func testUnreadableIsDeadOnce(t *testing.T, db database) {
	f := setUp(t, db)
	all := entries(3)
	all[1].Problem = "symbolic link leaves the source"
	run, count := f.plan(false, all)
	if count.Dead != 1 || count.Pending != 2 {
		t.Errorf("count %+v", count)
	}
	f.work(run)
	f.totals(run, ledger.Totals{Total: 3, Done: 2, Dead: 1})
	again, count := f.plan(false, all)
	if count.Dead != 1 || count.Skipped != 2 {
		t.Errorf("count %+v", count)
	}
	f.totals(again, ledger.Totals{Total: 3, Skipped: 2, Dead: 1})
	letters := f.dead(ledger.DeadFilter{})
	if len(letters) != 1 || letters[0].Class != "input" || letters[0].Run != again.Name || letters[0].Message != all[1].Problem {
		t.Errorf("dead %+v", letters)
	}
	all[1].Problem, all[1].Version = "", "v2"
	mended, _ := f.plan(false, all)
	f.work(mended)
	f.totals(mended, ledger.Totals{Total: 3, Skipped: 2, Done: 1})
	if letters := f.dead(ledger.DeadFilter{}); len(letters) != 0 {
		t.Errorf("dead after the repair %+v", letters)
	}
}

func (f *fixture) dead(filter ledger.DeadFilter) (letters []ledger.DeadLetter) {
	f.t.Helper()
	f.ok(f.DeadLetters(f.t.Context(), filter, func(page []ledger.DeadLetter) error {
		letters = append(letters, page...)
		return nil
	}))
	return letters
}

func testGoneAndBack(t *testing.T, db database) {
	f := setUp(t, db)
	all := entries(3)
	run, _ := f.plan(false, all)
	f.work(run)
	f.plan(false, all[:2])
	count := func(gone bool) (n int) {
		f.ok(f.Summaries(t.Context(), report.SummaryFilter{Gone: gone}, func(ledger.Exported) error { n++; return nil }))
		return n
	}
	if count(false) != 2 || count(true) != 3 {
		t.Errorf("exported %d, with those gone %d", count(false), count(true))
	}
	back, plan := f.plan(false, all)
	if plan.Skipped != 3 || count(false) != 3 {
		t.Errorf("back: %+v, exported %d", plan, count(false))
	}
	f.state(back, ledger.Finished)
}

func testForce(t *testing.T, db database) {
	f := setUp(t, db)
	all := entries(4)
	first, _ := f.plan(false, all)
	f.work(first)
	db.clock.advance(time.Minute)
	forced, count := f.plan(true, all)
	if count.Pending != 4 {
		t.Errorf("count %+v", count)
	}
	if _, err := f.Summary(t.Context(), "summary of doc000.txtv1", forced.ForcedAt); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a summary older than the forced run counts: %v", err)
	}
	claimed := f.claimAll(forced)
	db.clock.advance(time.Second)
	f.ok(f.done(claimed[0]))
	f.ok(f.done(claimed[1]))
	db.clock.advance(time.Second)
	again, count := f.plan(true, all) // interrupted and continued
	if again.ID != forced.ID || count.Pending != 0 || count.Unfinished != 4 {
		t.Errorf("continued %v, count %+v", again.ID == forced.ID, count)
	}
	f.totals(forced, ledger.Totals{Total: 4, Done: 2, Remaining: 2})
	f.ok(f.done(claimed[2]))
	f.ok(f.done(claimed[3]))
	f.closeAll(forced)
	f.state(forced, ledger.Finished)
}

func testPlanningLease(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	f.ok(f.LockPlan(ctx, f.source, f.profile, "a"))
	f.refused(f.LockPlan(ctx, f.source, f.profile, "b"), ledger.ErrPlanning)
	first := must(f.PlanLeaseUntil(ctx, f.source, f.profile))(f.t)
	db.clock.advance(ledger.PlanLease / 2)
	if until := must(f.PlanLeaseUntil(ctx, f.source, f.profile))(f.t); !until.Equal(first) {
		f.t.Errorf("the lease of a silent planner went from %s to %s", first, until)
	}
	f.ok(f.LockPlan(ctx, f.source, f.profile, "a"))
	if until := must(f.PlanLeaseUntil(ctx, f.source, f.profile))(f.t); until.Sub(first) != ledger.PlanLease/2 {
		f.t.Errorf("the lease was renewed from %s to %s", first, until)
	}
	db.clock.advance(ledger.PlanLease * 3 / 4)
	f.refused(f.LockPlan(ctx, f.source, f.profile, "b"), ledger.ErrPlanning)
	db.clock.advance(ledger.PlanLease / 2)
	f.ok(f.LockPlan(ctx, f.source, f.profile, "b"))
	run, _, err := f.OpenRun(ctx, f.source, f.profile, false)
	f.ok(err)
	_, err = f.Plan(ctx, run, "a", entries(2), size, nil)
	f.refused(err, ledger.ErrPlanning)
	f.totals(run, ledger.Totals{})
}

func testStaleOutcomeIsRefused(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(1))
	old := f.claimAll(run)[0]
	db.clock.advance(ledger.Lease + time.Second)
	if p := must(f.RecoverLapsed(t.Context(), dead))(t); len(p) != 1 {
		t.Fatalf("recovered %+v", p)
	}
	f.refused(f.done(old), ledger.ErrStale) // not yet claimed by another
	if _, err := f.Summary(t.Context(), "summary of "+old.URI+old.Version, time.Time{}); err != nil {
		t.Errorf("the paid summary is lost: %v", err)
	}
	other := must(f.Register(t.Context(), ledger.WorkerProcess{Name: "host-2"}))(t)
	next := must(f.Claim(t.Context(), other, f.partitions(run)[0].ID, 10))(t)
	if len(next) != 1 || next[0].Epoch <= old.Epoch || !next[0].Suspect || next[0].Attempts != 0 {
		t.Fatalf("claimed %+v after %+v", next, old)
	}
	f.refused(f.done(old), ledger.ErrStale)
	f.refused(f.Failed(t.Context(), f.worker, old, "transient", "late", 0), ledger.ErrStale)
	f.refused(f.Dead(t.Context(), f.worker, old, ledger.Read{}, "input", "late"), ledger.ErrStale)
	f.ok(f.Done(t.Context(), other, next[0], ledger.Read{Version: "v1"}, ledger.Summary{Name: "n", Text: "t"}))
	f.totals(run, ledger.Totals{Total: 1, Done: 1})
}

func testLapsedWorkerIsRecovered(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(8))
	f.claimAll(run)
	db.clock.advance(ledger.Lease - time.Second)
	f.ok(f.Renew(t.Context(), f.worker, nil))
	db.clock.advance(ledger.Lease - time.Second)
	if p := must(f.RecoverLapsed(t.Context(), dead))(t); len(p) != 0 {
		t.Errorf("recovered a live worker: %+v", p)
	}
	db.clock.advance(2 * time.Second)
	if n := must(f.LiveWorkers(t.Context()))(t); n != 0 {
		t.Errorf("%d live workers", n)
	}
	// It renews its lease between the look for dead workers and the release.
	if p := must(f.RecoverLapsed(t.Context(), func(worker ledger.WorkerID, _ string, lapsed bool) bool {
		if worker != f.worker || !lapsed {
			t.Errorf("worker %d, lapsed %t", worker, lapsed)
		}
		f.ok(f.Renew(t.Context(), worker, nil))
		return true
	}))(t); len(p) != 0 {
		t.Errorf("recovered a worker that renewed its lease: %+v", p)
	}
	if n := must(f.LiveWorkers(t.Context()))(t); n != 1 {
		t.Errorf("%d live workers after the renewal", n)
	}
	db.clock.advance(ledger.Lease + time.Second)
	if p := must(f.RecoverLapsed(t.Context(), dead))(t); len(p) != 2 {
		t.Errorf("recovered %+v", p)
	}
	if p := must(f.RecoverLapsed(t.Context(), dead))(t); len(p) != 0 {
		t.Errorf("recovered twice: %+v", p)
	}
}

// A worker whose claims were released takes nothing before it has renewed its lease: recovery would
// not look for its claims a second time.
func testLapsedWorkerClaimsNothing(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(2))
	partition := f.partitions(run)[0].ID
	claimed := must(f.Claim(t.Context(), f.worker, partition, 1))(t)
	db.clock.advance(ledger.Lease + time.Second)
	must(f.RecoverLapsed(t.Context(), dead))(t)
	_, err := f.Claim(t.Context(), f.worker, partition, 1)
	f.refused(err, ledger.ErrLapsed)
	in := ledger.Reservation{Run: run.ID, Document: claimed[0].Document, Worker: f.worker, Name: "n", Model: "m"}
	_, _, err = f.BeginCall(t.Context(), in)
	f.refused(err, ledger.ErrLapsed)
	f.ok(f.Renew(t.Context(), f.worker, nil))
	if c := must(f.Claim(t.Context(), f.worker, partition, 2))(t); len(c) != 2 {
		t.Errorf("claimed %+v after the renewal", c)
	}
	_, _, err = f.BeginCall(t.Context(), in)
	f.ok(err)
	db.clock.advance(ledger.Lease + time.Second)
	if p := must(f.RecoverLapsed(t.Context(), dead))(t); len(p) != 1 {
		t.Errorf("recovered %+v", p)
	}
}

func testLeaveReleasesClaims(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(3))
	f.claimAll(run)
	f.ok(f.Leave(t.Context(), f.worker, nil))
	f.worker = must(f.Register(t.Context(), ledger.WorkerProcess{Name: "host-2"}))(t)
	for _, c := range f.claimAll(run) {
		if c.Suspect || c.Attempts != 0 {
			t.Errorf("released %+v", c)
		}
		f.ok(f.done(c))
	}
	f.totals(run, ledger.Totals{Total: 3, Done: 3})
}

func testCountedCrashStays(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(2))
	for round := range int64(3) {
		claimed := f.claimAll(run)
		if len(claimed) != 2 || claimed[0].Crashes != round || claimed[1].Crashes != 0 || round > 0 && !claimed[0].Suspect {
			t.Fatalf("round %d claimed %+v", round, claimed)
		}
		f.ok(f.CountCrash(t.Context(), f.worker, claimed[1], 1))
		f.ok(f.CountCrash(t.Context(), f.worker, claimed[1], -1)) // it was read to its end
		f.ok(f.CountCrash(t.Context(), f.worker, claimed[0], 1))  // the worker dies here
		db.clock.advance(ledger.Lease + time.Second)
		must(f.RecoverLapsed(t.Context(), dead))(t)
		f.refused(f.CountCrash(t.Context(), f.worker, claimed[0], -1), ledger.ErrStale)
		f.worker = must(f.Register(t.Context(), ledger.WorkerProcess{Name: "host-2"}))(t)
	}
}

// A suspect keeps its crash count however it comes to its next claim. Only `dead retry` starts the
// count again, and even then the document is read as a suspect.
func testCrashCountIsKept(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	all := entries(2)
	run, _ := f.plan(false, all)
	f.ok(f.Crashed(ctx, f.worker, f.claimAll(run)[0], "killed by its limits"))
	claim := func(after string, crashes int64) ledger.Claimed {
		t.Helper()
		db.clock.advance(time.Minute)
		f.ok(f.Renew(ctx, f.worker, nil))
		for _, p := range f.partitions(run) {
			for _, c := range must(f.Claim(ctx, f.worker, p.ID, 2))(t) {
				if c.URI != all[0].URI {
					f.ok(f.Release(ctx, f.worker, c, 0))
					continue
				}
				if c.Crashes != crashes || !c.Suspect {
					t.Fatalf("after %s: %+v, want %d crashes", after, c, crashes)
				}
				return c
			}
		}
		t.Fatalf("after %s: not claimed", after)
		return ledger.Claimed{}
	}
	// The worker dies, and the other document is a suspect, too.
	db.clock.advance(ledger.Lease + time.Second)
	must(f.RecoverLapsed(ctx, dead))(t)
	f.worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "host-2"}))(t)
	for _, step := range []struct {
		name string
		do   func(c ledger.Claimed)
	}{
		{"a takeover", func(c ledger.Claimed) {
			db.clock.advance(ledger.Lease + time.Second)
			must(f.RecoverLapsed(ctx, dead))(t)
			f.refused(f.done(c), ledger.ErrStale)
		}},
		{"a release", func(c ledger.Claimed) { f.ok(f.Release(ctx, f.worker, c, time.Second)) }},
		{"a failed attempt", func(c ledger.Claimed) {
			f.ok(f.Failed(ctx, f.worker, c, "transient", "status 500", time.Second))
		}},
		{"a worker that left", func(ledger.Claimed) {
			f.ok(f.Leave(ctx, f.worker, nil))
			f.worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "host-3"}))(t)
		}},
		{"a resume", func(c ledger.Claimed) {
			must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Paused, Message: "by hand"}))(t)
			f.ok(f.Release(ctx, f.worker, c, 0))
			f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
		}},
		{"another listing", func(c ledger.Claimed) {
			f.ok(f.Release(ctx, f.worker, c, 0))
			f.plan(false, all)
		}},
		{"a sample", func(c ledger.Claimed) {
			f.ok(f.Release(ctx, f.worker, c, 0))
			f.ok(f.Leave(ctx, f.worker, nil))
			f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Sample: 2}))
			f.worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "host-4"}))(t)
		}},
		{"a plan with --force that was refused", func(c ledger.Claimed) {
			f.ok(f.Release(ctx, f.worker, c, 0))
			f.listing(true, all)
			f.listing(false, all)
		}},
	} {
		step.do(claim("what came before", 1))
		f.ok(f.Release(ctx, f.worker, claim(step.name, 1), 0))
	}
	f.ok(f.Crashed(ctx, f.worker, claim("all of it", 1), "killed by its limits"))
	f.ok(f.Dead(ctx, f.worker, claim("another crash", 2), ledger.Read{}, ledger.ClassCrashing, "killed by its limits"))
	must(f.Redrive(ctx, ledger.DeadFilter{}, size, true))(t)
	claim("dead retry", 0)
}

func testRetryIsNotDueAtOnce(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(1))
	f.ok(f.Failed(t.Context(), f.worker, f.claimAll(run)[0], "transient", "status 500", 10*time.Second))
	if c := f.claimAll(run); len(c) != 0 {
		t.Errorf("claimed before it was due: %+v", c)
	}
	view := must(f.PartitionStatus(t.Context(), f.partitions(run)[0].ID))(t)
	if view.Open != 1 || view.Claimed != 0 || !view.NextDue.Equal(db.clock.now().Add(10*time.Second)) {
		t.Errorf("view %+v", view)
	}
	db.clock.advance(10 * time.Second)
	c := f.claimAll(run)
	if len(c) != 1 || c[0].Attempts != 1 || c[0].Tries != 1 {
		t.Fatalf("claimed %+v", c)
	}
	f.ok(f.Release(t.Context(), f.worker, c[0], time.Second))
	db.clock.advance(time.Second)
	if c = f.claimAll(run); len(c) != 1 || c[0].Attempts != 1 {
		t.Errorf("a release spent an attempt: %+v", c)
	}
}

func testStopAndResume(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(8))
	claimed := f.claimAll(run)
	f.ok(f.done(claimed[0]))
	if !must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Halted, Message: "the key is wrong"}))(t) {
		t.Error("did not stop")
	}
	if must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Halted, Message: "the key is wrong"}))(t) {
		t.Error("stopped twice")
	}
	f.ok(f.done(claimed[1])) // outcomes in flight still count
	for _, c := range claimed[2:] {
		f.ok(f.Release(ctx, f.worker, c, 0))
	}
	if p := f.partitions(run); len(p) != 0 {
		t.Errorf("a stopped run has open partitions %+v", p)
	}
	f.totals(run, ledger.Totals{Total: 8, Done: 2, Remaining: 6})
	f.refused(f.Publish(ctx, ledger.Publication{Run: run.ID}), ledger.ErrState)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	for _, p := range f.partitions(run) {
		if p.Generation != 2 {
			t.Errorf("partition %+v keeps the generation of tasks that may still end", p)
		}
	}
	f.work(run)
	f.totals(run, ledger.Totals{Total: 8, Done: 8})
	f.state(run, ledger.Finished)
}

// A run that a quota stopped continues when the quota has reset, by the ledger's clock.
func testQuotaResets(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(8))
	f.ok(f.done(f.claimAll(run)[0]))
	f.ok(f.Leave(ctx, f.worker, nil))
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Quota, Message: "used up", Quota: "requests per day", Ends: true, After: time.Hour}))(t)
	stopped := must(f.RunByID(ctx, run.ID))(t)
	if stopped.State != ledger.Stopped || stopped.Reason != ledger.Quota || stopped.Quota != "requests per day" || !stopped.Until.Equal(db.clock.now().Add(time.Hour).UTC()) {
		t.Errorf("stopped %+v", stopped)
	}
	db.clock.advance(time.Hour - time.Millisecond)
	if runs := must(f.Restart(ctx))(t); len(runs) != 0 {
		t.Errorf("restarted %+v before the quota has reset", runs)
	}
	db.clock.advance(time.Millisecond)
	runs := must(f.Restart(ctx))(t)
	if len(runs) != 1 || runs[0].ID != run.ID || runs[0].State != ledger.Running || runs[0].Reason != "" || !runs[0].Until.IsZero() || runs[0].Quota != "" {
		t.Errorf("restarted %+v", runs)
	}
	for _, p := range f.partitions(run) {
		if p.Generation != 2 {
			t.Errorf("partition %+v keeps the generation of tasks that may still end", p)
		}
	}
	if runs := must(f.Restart(ctx))(t); len(runs) != 0 {
		t.Errorf("restarted %+v twice", runs)
	}
	// Without a known end a person or the next plan continues it.
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Quota, Message: "used up", Quota: "requests per day"}))(t)
	db.clock.advance(1000 * time.Hour)
	if runs := must(f.Restart(ctx))(t); len(runs) != 0 {
		t.Errorf("restarted %+v, whose quota resets at an unknown time", runs)
	}
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	if now := must(f.RunByID(ctx, run.ID))(t); now.State != ledger.Running || now.Quota != "" {
		t.Errorf("resumed %+v", now)
	}
}

func testCancelledRunIsOver(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(4))
	f.ok(f.done(f.claimAll(run)[0]))
	f.ok(f.Leave(t.Context(), f.worker, nil))
	must(f.Stop(t.Context(), run.ID, ledger.Stop{Reason: ledger.Paused, Message: ""}))(t)
	must(f.Stop(t.Context(), run.ID, ledger.Stop{Reason: ledger.Cancelled, Message: ""}))(t)
	next, count := f.plan(false, entries(4))
	if next.ID == run.ID || count.Skipped != 1 || count.Pending != 3 {
		t.Errorf("after a cancelled run: same %v, %+v", next.ID == run.ID, count)
	}
	// It has a successor.
	f.refused(f.Publish(t.Context(), ledger.Publication{Run: run.ID, Resume: true}), ledger.ErrState)
}

func testCallsOfOneNamePayOnce(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(2))
	c := f.claimAll(run)
	in := ledger.Reservation{Run: run.ID, Document: c[0].Document, Worker: f.worker, Name: "request", Model: "m", ReservedTokens: 100}
	call, known, err := f.BeginCall(ctx, in)
	f.ok(err)
	if known != nil {
		t.Fatal("got an answer before any call")
	}
	_, _, err = f.BeginCall(ctx, in)
	f.refused(err, ledger.ErrBusy)
	cost := int64(1500)
	answer := ledger.Answer{Content: "words", FinishReason: "stop", Model: "m-1", Endpoint: "e", TokensIn: 10, TokensCached: 3, TokensOut: 5, CostNano: &cost}
	f.ok(f.EndCall(ctx, call, in, answer))
	_, known, err = f.BeginCall(ctx, in)
	f.ok(err)
	if diff := cmp.Diff(&answer, known); diff != "" {
		t.Error(diff)
	}
	_, account, err := f.Totals(ctx, run.ID)
	f.ok(err)
	if diff := cmp.Diff(ledger.Account{Calls: 1, TokensIn: 10, TokensOut: 5, CostNano: 1500, CostKnown: true}, account); diff != "" {
		t.Error(diff)
	}
	db.clock.advance(time.Minute)
	in.Since = db.clock.now()
	if _, known, err = f.BeginCall(ctx, in); err != nil || known != nil {
		t.Errorf("an old answer counts in a forced run: %v %v", known, err)
	}
}

// A call whose record was committed, and whose reply was lost, is recorded again as the same call:
// it is reserved once, and does not count as another call in flight.
func testCallIsRecordedOnce(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	f.ok(f.LockPlan(ctx, f.source, f.profile, "planner"))
	tokens := int64(150) // of calls of 100
	run, _, err := f.OpenRun(ctx, f.source, f.profile, false)
	f.ok(err)
	must(f.Ledger.Plan(ctx, run, "planner", entries(2), size, nil))(t)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, BudgetTokens: &tokens}))
	c := f.claimAll(run)
	in := ledger.Reservation{Run: run.ID, Document: c[0].Document, Worker: f.worker, Name: "n", Model: "m", ReservedTokens: 100, Token: 7}
	call, _, err := f.BeginCall(ctx, in)
	f.ok(err)
	again, known, err := f.BeginCall(ctx, in)
	f.ok(err)
	if again != call || known != nil {
		t.Errorf("call %d was recorded again as %d, %v", call, again, known)
	}
	other := in
	other.Token, other.Document = 8, c[1].Document
	_, _, err = f.BeginCall(ctx, other)
	f.refused(err, ledger.ErrBusy)
	other.Name = "another"
	_, _, err = f.BeginCall(ctx, other)
	f.refused(err, ledger.ErrReserved)
	f.ok(f.EndCall(ctx, call, in, ledger.Answer{Content: "words", TokensIn: 40}))
	_, _, err = f.BeginCall(ctx, other)
	f.ok(err)
	untold := ledger.Reservation{Run: run.ID, Document: c[0].Document, Worker: f.worker, Name: "untold", Model: "m"}
	_, _, err = f.BeginCall(ctx, untold)
	f.ok(err)
	_, _, err = f.BeginCall(ctx, untold)
	f.refused(err, ledger.ErrBusy)
}

func testLostCallCountsInFull(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(1))
	c := f.claimAll(run)[0]
	reserve := int64(700)
	in := ledger.Reservation{Run: run.ID, Document: c.Document, Worker: f.worker, Name: "n", ReservedNano: &reserve, ReservedTokens: 50}
	call, _, err := f.BeginCall(ctx, in)
	f.ok(err)
	db.clock.advance(ledger.Lease + time.Second)
	must(f.RecoverLapsed(ctx, dead))(t)
	_, account, err := f.Totals(ctx, run.ID)
	f.ok(err)
	if account.CostNano != 700 || account.TokensIn != 50 {
		t.Errorf("account %+v", account)
	}
	cost := int64(200) // the worker lives, and its answer is stored
	f.ok(f.EndCall(ctx, call, in, ledger.Answer{Content: "late", CostNano: &cost, TokensIn: 20, TokensOut: 2}))
	if _, account, err = f.Totals(ctx, run.ID); err != nil || account.CostNano != 200 || account.TokensIn != 20 {
		t.Errorf("account %+v %v", account, err)
	}
	in.Worker = must(f.Register(ctx, ledger.WorkerProcess{Name: "another"}))(t)
	if _, known, err := f.BeginCall(ctx, in); err != nil || known == nil || known.Content != "late" {
		t.Errorf("the late answer is lost: %v %v", known, err)
	}
}

func testRedriveKeepsAttempts(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(6))
	for i, c := range f.claimAll(run) {
		switch i {
		case 0, 1:
			f.ok(f.Failed(ctx, f.worker, c, "transient", "status 500", 0))
		default:
			f.ok(f.done(c))
		}
	}
	for _, c := range f.claimAll(run) {
		f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "exhausted", "status 500"))
	}
	f.closeAll(run)
	f.state(run, ledger.Finished)
	f.totals(run, ledger.Totals{Total: 6, Done: 4, Dead: 2})
	if n := len(f.dead(ledger.DeadFilter{Class: "input"})); n != 0 {
		t.Errorf("%d dead of another class", n)
	}
	redriven, err := f.Redrive(ctx, ledger.DeadFilter{Class: "exhausted", Match: func(d ledger.DeadLetter) bool { return d.URI == "doc000.txt" }}, size, true)
	f.ok(err)
	if diff := cmp.Diff(map[ledger.RunID]int64{run.ID: 1}, redriven); diff != "" {
		t.Error(diff)
	}
	f.state(run, ledger.Running)
	f.totals(run, ledger.Totals{Total: 6, Done: 4, Dead: 1, Remaining: 1})
	c := f.claimAll(run)
	if len(c) != 1 || c[0].Attempts != 2 || c[0].Tries != 0 {
		t.Fatalf("claimed %+v", c)
	}
	f.ok(f.done(c[0]))
	f.closeAll(run)
	f.state(run, ledger.Finished)
	views := must(f.Documents(ctx, "doc000.txt", 10))(t)
	if len(views) != 1 || views[0].Attempts != 3 || views[0].State != "done" || views[0].Summary == nil {
		t.Fatalf("views %+v", views)
	}
	var events []string
	for _, e := range views[0].History {
		events = append(events, e.Event)
	}
	if diff := cmp.Diff([]string{"failed", "dead", "retried", "done"}, events); diff != "" {
		t.Error(diff)
	}
}

func testDropAcceptsTheLoss(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(2))
	claimed := f.claimAll(run)
	f.ok(f.done(claimed[0]))
	f.ok(f.Dead(t.Context(), f.worker, claimed[1], ledger.Read{}, "refused", "content filter"))
	f.closeAll(run)
	if n := must(f.Drop(t.Context(), ledger.DeadFilter{Run: run.ID}))(t); n != 1 {
		t.Errorf("dropped %d", n)
	}
	f.totals(run, ledger.Totals{Total: 2, Done: 1, Skipped: 1})
	next, count := f.plan(false, entries(2))
	if count.Skipped != 2 || len(f.dead(ledger.DeadFilter{})) != 0 {
		t.Errorf("next run %+v", count)
	}
	f.state(next, ledger.Finished)
}

func testConcurrentClaims(t *testing.T, db database) {
	f := setUp(t, db)
	big := ledger.PartitionSize{Documents: 200, Bytes: 1 << 20}
	ctx := t.Context()
	f.ok(f.LockPlan(ctx, f.source, f.profile, "planner"))
	run, _, err := f.OpenRun(ctx, f.source, f.profile, false)
	f.ok(err)
	must(f.Plan(ctx, run, "planner", entries(200), big, nil))(t)
	f.ok(f.Publish(ctx, ledger.Publication{Run: run.ID}))
	partition := f.partitions(run)[0].ID
	var mu sync.Mutex
	seen := map[ledger.DocumentID]int{}
	var all sync.WaitGroup
	for i := range 4 {
		process := db.open(t)
		all.Go(func() {
			worker, err := process.Register(ctx, ledger.WorkerProcess{Name: fmt.Sprint("worker ", i)})
			if err != nil {
				t.Error(err)
				return
			}
			for {
				claimed, err := process.Claim(ctx, worker, partition, 7)
				if err != nil {
					t.Error(err)
					return
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, c := range claimed {
					seen[c.Document]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for document, n := range seen {
		if n != 1 {
			t.Errorf("document %d was claimed %d times", document, n)
		}
	}
	if len(seen) != 200 {
		t.Errorf("%d of 200 claimed", len(seen))
	}
}

func testTotalsBalanceDuringWork(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(60))
	finished := make(chan struct{})
	var watcher sync.WaitGroup
	reader := db.open(t)
	watcher.Go(func() {
		for {
			totals, _, err := reader.Totals(t.Context(), run.ID)
			if err != nil || !totals.Balanced() || totals.Total != 60 {
				t.Errorf("totals %+v %v", totals, err)
				return
			}
			select {
			case <-finished:
				return
			default:
			}
		}
	})
	var workers sync.WaitGroup
	for _, p := range f.partitions(run) {
		workers.Go(func() {
			claimed, err := f.Claim(t.Context(), f.worker, p.ID, 100)
			if err != nil {
				t.Error(err)
			}
			for _, c := range claimed {
				if err := f.done(c); err != nil {
					t.Error(err)
				}
			}
			if err := f.ClosePartition(t.Context(), p.ID); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	close(finished)
	watcher.Wait()
	f.state(run, ledger.Finished)
}

func testPrune(t *testing.T, db database) {
	f := setUp(t, db)
	first, _ := f.plan(false, entries(3))
	f.work(first)
	db.clock.advance(48 * time.Hour)
	second, _ := f.plan(false, entries(3))
	pruned := must(f.Prune(t.Context(), 24*time.Hour))(t)
	if pruned.Documents != 3 {
		t.Errorf("pruned %+v", pruned)
	}
	f.totals(second, ledger.Totals{Total: 3, Skipped: 3})
	var n int
	f.ok(f.Summaries(t.Context(), report.SummaryFilter{}, func(ledger.Exported) error { n++; return nil }))
	if n != 3 {
		t.Errorf("%d summaries are left", n)
	}
}

func testPartitionsAreBalanced(t *testing.T, db database) {
	f := setUp(t, db)
	all := entries(12)
	all[5].Size = 3 << 20 // larger than a partition: it gets its own
	run, _ := f.plan(false, all)
	var got [][2]int64
	for _, p := range f.partitions(run) {
		got = append(got, [2]int64{p.Documents, p.Bytes})
	}
	if diff := cmp.Diff([][2]int64{{4, 400}, {1, 100}, {1, 3 << 20}, {4, 400}, {2, 200}}, got); diff != "" {
		t.Error(diff)
	}
}

package ledger_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// with returns the fixture for another source and profile of the same ledger.
func (f *fixture) with(source, profile string) *fixture {
	f.t.Helper()
	other := *f
	other.source = must(f.PutSource(f.t.Context(), source))(f.t)
	other.profile = must(f.PutProfile(f.t.Context(), profile, "model of "+profile, "{}"))(f.t)
	return &other
}

func testDocumentsAreFound(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	run, _ := f.plan(false, entries(2))
	f.work(run)
	file := f.with("file:///data/many%20lines.jsonl?id_field=key", "hash")
	lines, _ := file.plan(false, []ledger.Entry{{URI: "many lines.jsonl#7", Version: "v1", Size: 1}})
	bucket := f.with("s3://bucket/a?region=eu", "hash")
	bucket.plan(false, entries(1))
	for query, want := range map[string][]string{
		"doc001.txt": {"file:///docs"},
		// The one with an outcome comes first.
		"doc000.txt":                         {"file:///docs", "s3://bucket/a?region=eu"},
		"file:///docs/doc000.txt":            {"file:///docs"},
		"/docs/doc000.txt":                   {"file:///docs"},
		"/data/many lines.jsonl#7":           {"file:///data/many%20lines.jsonl?id_field=key"},
		"file:///data/many%20lines.jsonl#7":  {"file:///data/many%20lines.jsonl?id_field=key"},
		"s3://bucket/a/doc000.txt":           {"s3://bucket/a?region=eu"},
		"s3://bucket/a?region=eu/doc000.txt": {"s3://bucket/a?region=eu"},
		"/docs":                              nil,
		"/docs2/doc000.txt":                  nil,
		"DOC000.txt":                         nil,
	} {
		var got []string
		for _, v := range must(f.Documents(ctx, query, 10))(t) {
			got = append(got, v.Source)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	waiting := must(f.Documents(ctx, "many lines.jsonl#7", 10))(t)
	if len(waiting) != 1 || waiting[0].State != "pending" || waiting[0].Run != lines.Name || waiting[0].Summary != nil {
		t.Errorf("before its first outcome: %+v", waiting)
	}
	if diff := cmp.Diff([]string{"many lines.jsonl#7"}, must(f.SimilarURIs(ctx, "LINES.jsonl", 5))(t)); diff != "" {
		t.Error(diff)
	}
	if got := must(f.SimilarURIs(ctx, "doc%1", 5))(t); len(got) != 0 {
		t.Errorf("a wildcard matched %v", got)
	}
}

// A document under two profiles is reported twice, each with its own history and summary.
func testDocumentUnderTwoProfiles(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	first, _ := f.plan(false, entries(1))
	f.work(first)
	db.clock.advance(time.Minute)
	other := f.with("file:///docs", "hash2")
	second, _ := other.plan(false, entries(1))
	for _, c := range other.claimAll(second) {
		f.ok(f.Failed(ctx, f.worker, c, "transient", "status 500", 0))
	}
	views := must(f.Documents(ctx, "doc000.txt", 10))(t)
	if len(views) != 2 || views[0].Profile != "hash" || views[0].State != "done" || len(views[0].History) != 0 || views[0].Summary == nil {
		t.Fatalf("views %+v", views)
	}
	if v := views[1]; v.Profile != "hash2" || v.State != "pending" || v.Run != second.Name || v.Attempts != 1 || len(v.History) != 1 || v.Summary != nil {
		t.Errorf("second profile %+v", v)
	}
	for _, c := range other.claimAll(second) {
		f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "refused", "content filter"))
	}
	db.clock.advance(time.Minute)
	views = must(f.Documents(ctx, "doc000.txt", 1))(t)
	if len(views) != 1 || views[0].State != "dead" || views[0].Class != "refused" || views[0].Attempts != 2 || len(views[0].History) != 2 {
		t.Errorf("the newest view %+v", views)
	}
}

func testSourceProfilesNewestFinishedFirst(t *testing.T, db database) {
	f := setUp(t, db)
	work := func(f *fixture) {
		t.Helper()
		run, _ := f.plan(false, entries(1))
		f.work(run)
		f.state(run, ledger.Finished)
	}
	old, newer, open := f.with("file:///docs", "old"), f.with("file:///docs", "newer"), f.with("file:///docs", "open")
	elsewhere := f.with("s3://bucket/", "open")
	work(old)
	work(newer)
	work(old)
	work(newer)
	open.plan(false, entries(1))
	work(elsewhere)
	var got []string
	for _, p := range must(f.SourceProfiles(t.Context()))(t) {
		got = append(got, p.Source+" "+p.Profile+" "+p.Model)
	}
	want := []string{"file:///docs newer model of newer", "file:///docs old model of old", "file:///docs open model of open", "s3://bucket/ open model of open"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func testSummariesByFilter(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	first, _ := f.plan(false, entries(3))
	f.work(first)
	other := f.with("file:///docs", "hash2")
	second, _ := other.plan(false, entries(2)) // the third is gone
	f.work(second)
	for name, c := range map[string]struct {
		filter report.SummaryFilter
		want   []string
	}{
		"all":           {report.SummaryFilter{}, []string{"doc000.txt hash", "doc000.txt hash2", "doc001.txt hash", "doc001.txt hash2"}},
		"with the gone": {report.SummaryFilter{ProfileID: f.profile, Gone: true}, []string{"doc000.txt hash", "doc001.txt hash", "doc002.txt hash"}},
		"of a run":      {report.SummaryFilter{Run: second.ID}, []string{"doc000.txt hash2", "doc001.txt hash2"}},
		"elsewhere":     {report.SummaryFilter{SourceID: f.source + 1000}, nil},
	} {
		var got []string
		f.ok(f.Summaries(ctx, c.filter, func(e ledger.Exported) error {
			got = append(got, e.URI+" "+e.Profile)
			return nil
		}))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if err := f.Summaries(ctx, report.SummaryFilter{}, func(ledger.Exported) error { return context.Canceled }); err != context.Canceled { //nolint:errorlint // it must come back as it is
		t.Errorf("the error of the caller is returned as %v", err)
	}
}

func testPrunableMatchesPrune(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	for range 3 {
		run, _ := f.plan(true, entries(3)) // forced: the results name the newest run
		f.work(run)
		db.clock.advance(48 * time.Hour)
	}
	before := must(f.Prunable(ctx, 24*time.Hour))(t)
	if before.Runs != 2 || before.Documents != 6 {
		t.Errorf("prunable %+v", before)
	}
	if diff := cmp.Diff(before, must(f.Prune(ctx, 24*time.Hour))(t)); diff != "" {
		t.Error(diff)
	}
	if after := must(f.Prunable(ctx, 24*time.Hour))(t); after != (ledger.Pruned{}) {
		t.Errorf("left %+v", after)
	}
}

// Dead letters are listed in pages, each letter once.
func testDeadLettersInPages(t *testing.T, db database) {
	f := setUp(t, db)
	all := entries(1100)
	for i := range all {
		all[i].Problem = "broken"
	}
	run, count := f.plan(false, slices.Collect(slices.Chunk(all, 100))...)
	if count.Dead != 1100 {
		t.Fatalf("count %+v", count)
	}
	seen := map[string]int{}
	pages := 0
	f.ok(f.DeadLetters(t.Context(), ledger.DeadFilter{Run: run.ID}, func(letters []ledger.DeadLetter) error {
		pages++
		for _, letter := range letters {
			seen[letter.URI]++
		}
		return nil
	}))
	if len(seen) != 1100 || pages < 2 {
		t.Errorf("%d dead letters in %d pages", len(seen), pages)
	}
	for uri, n := range seen {
		if n != 1 {
			t.Errorf("%s was listed %d times", uri, n)
		}
	}
	redriven := must(f.Redrive(t.Context(), ledger.DeadFilter{}, size, true))(t)
	if diff := cmp.Diff(map[ledger.RunID]int64{run.ID: 1100}, redriven); diff != "" {
		t.Error(diff)
	}
	f.totals(run, ledger.Totals{Total: 1100, Remaining: 1100})
}

// A dead letter that is redriven while a newer run is being planned belongs to that run, and the
// totals of the finished run stay balanced.
func testRedriveWhilePlanning(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	first, _ := f.plan(false, entries(2))
	for _, c := range f.claimAll(first) {
		f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "exhausted", "status 500"))
	}
	f.closeAll(first)
	f.ok(f.LockPlan(ctx, f.source, f.profile, "planner"))
	second, _, err := f.OpenRun(ctx, f.source, f.profile, false)
	f.ok(err)
	if diff := cmp.Diff(map[ledger.RunID]int64{first.ID: 2}, must(f.Redrive(ctx, ledger.DeadFilter{}, size, true))(t)); diff != "" {
		t.Error(diff)
	}
	f.state(first, ledger.Finished)
	f.totals(first, ledger.Totals{Total: 2, Dead: 2})
	if count := must(f.Plan(ctx, second, "planner", entries(2), size, nil))(t); count.Pending != 2 {
		t.Errorf("the newer run found %+v", count)
	}
	f.ok(f.Publish(ctx, ledger.Publication{Run: second.ID}))
	f.work(second)
	f.totals(second, ledger.Totals{Total: 2, Done: 2})
	view := must(f.Documents(ctx, "doc000.txt", 1))(t)[0]
	if view.State != "done" || len(view.History) != 2 || view.History[1].Event != "retried" {
		t.Errorf("view %+v", view)
	}
}

func testProfileInUse(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	inUse := func(source, want string) {
		t.Helper()
		if got := must(f.ProfileInUse(ctx, source, "old", "new"))(t); got != want {
			t.Errorf("%s uses profile %q, want %q", source, got, want)
		}
	}
	inUse("file:///a", "")

	// A run that has not begun counts, and so does one that works.
	before, after := f.with("file:///a", "old"), f.with("file:///a", "new")
	run, _ := before.planInvisible(false, entries(2))
	inUse("file:///a", "old")
	before.ok(before.Publish(ctx, ledger.Publication{Run: run.ID}))
	inUse("file:///a", "old")
	inUse("file:///b", "")

	// A cancelled run without a result does not.
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Cancelled, Message: ""}))(t)
	inUse("file:///a", "")

	run, _ = before.plan(false, entries(2))
	before.work(run)
	inUse("file:///a", "old")

	// The newer profile counts once its run has begun.
	run, _ = after.planInvisible(false, entries(2))
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Paused, Message: "not confirmed"}))(t)
	inUse("file:///a", "old")
	after.ok(f.Publish(ctx, ledger.Publication{Run: run.ID, Resume: true}))
	run, _ = after.plan(false, entries(2))
	inUse("file:///a", "new")

	// What a cancelled run has done counts, and a later run without work does too.
	after.ok(after.done(after.claimAll(run)[0]))
	must(f.Stop(ctx, run.ID, ledger.Stop{Reason: ledger.Cancelled, Message: ""}))(t)
	inUse("file:///a", "new")
	before.plan(false, entries(2))
	inUse("file:///a", "old")

	// Dead letters are results, and a run that found no document leaves none.
	empty := f.with("file:///c", "old")
	empty.plan(false)
	inUse("file:///c", "")
	empty.plan(false, []ledger.Entry{{URI: "locked.txt", Version: "v1", Problem: "permission denied"}})
	inUse("file:///c", "old")
}

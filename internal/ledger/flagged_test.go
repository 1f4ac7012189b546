package ledger_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// Flagged documents are the done documents of a run whose summary has findings, whether the summary
// is new or was found.
func testFlaggedAreCounted(t *testing.T, db database) {
	f := setUp(t, db)
	flagged := func(run ledger.Run, want int64) {
		t.Helper()
		if got := must(f.Flagged(t.Context(), run.ID))(t); got != want {
			t.Errorf("%d flagged, want %d", got, want)
		}
	}
	finding := json.RawMessage(`[{"check":"number","found":"7","message":"this number is not in the document"}]`)
	read := func(c ledger.Claimed) ledger.Read { return ledger.Read{Version: c.Version, SHA256: "sha"} }
	all := entries(5)
	run, _ := f.plan(false, all)
	flagged(run, 0)
	claimed := f.claimAll(run)
	made := ledger.Summary{Name: "with findings", Text: "text", Model: "model", Checks: finding}
	f.ok(f.Done(t.Context(), f.worker, claimed[0], read(claimed[0]), made))
	flagged(run, 1)
	known := must(f.Summary(t.Context(), "with findings", time.Time{}))(t) // an equal document
	f.ok(f.Done(t.Context(), f.worker, claimed[1], read(claimed[1]), known))
	flagged(run, 2)
	f.ok(f.Done(t.Context(), f.worker, claimed[2], read(claimed[2]), ledger.Summary{Name: "without", Text: "text", Model: "model", Checks: json.RawMessage("[]")}))
	f.ok(f.done(claimed[3])) // never checked
	f.ok(f.Dead(t.Context(), f.worker, claimed[4], read(claimed[4]), "input", "empty"))
	flagged(run, 2)

	// A changed document is open again, and its new summary has no findings.
	all[0].Version = "v2"
	run, _ = f.plan(false, all)
	flagged(run, 1)
	again := f.claimAll(run)
	f.ok(f.done(again[0]))
	flagged(run, 1)
	f.closeAll(run)
	must(f.FinishRun(t.Context(), run.ID))(t)

	// What a later run skips is not its own.
	next, _ := f.plan(false, all)
	flagged(next, 0)
	flagged(run, 1)
}

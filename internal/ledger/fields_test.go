package ledger_test

import (
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// The last result has the fields of its version of the line. A dead letter has none.
func testFieldsOfLines(t *testing.T, db database) {
	f := setUp(t, db)
	ctx := t.Context()
	line := func(id, version string) ledger.Entry {
		return ledger.Entry{URI: "d.jsonl#" + id, Locator: "0+9@7", Version: version, Size: 1}
	}
	done := func(c ledger.Claimed, fields ledger.Fields) {
		f.ok(f.Done(ctx, f.worker, c, ledger.Read{Version: c.Version, SHA256: "sha", Fields: fields}, ledger.Summary{Name: "n", Text: "text", Model: "m"}))
	}
	found := func() map[string]ledger.Exported {
		all := map[string]ledger.Exported{}
		f.ok(f.Summaries(ctx, report.SummaryFilter{}, func(e ledger.Exported) error {
			all[e.URI] = e
			return nil
		}))
		return all
	}
	run, _ := f.plan(false, []ledger.Entry{line("a%0A", "1"), line("b", "1"), {URI: "file#x", Version: "1", Size: 1}})
	for _, c := range f.claimAll(run) {
		switch c.URI {
		case "d.jsonl#a%0A":
			done(c, ledger.Fields{JSON: []byte(`{"at": 1}`)})
		case "d.jsonl#b":
			done(c, ledger.Fields{TooLarge: 17000})
		default:
			done(c, ledger.Fields{})
		}
	}
	f.closeAll(run)
	all := found()
	if e := all["d.jsonl#a%0A"]; e.ID != "a\n" || string(e.Fields.JSON) != `{"at": 1}` || e.Fields.TooLarge != 0 {
		t.Errorf("%+v", e)
	}
	if e := all["d.jsonl#b"]; e.ID != "b" || e.Fields.JSON != nil || e.Fields.TooLarge != 17000 {
		t.Errorf("%+v", e)
	}
	if e := all["file#x"]; e.ID != "" || e.Fields.JSON != nil || e.Fields.TooLarge != 0 {
		t.Errorf("%+v", e)
	}
	must(f.FinishRun(ctx, run.ID))(t)
	run, _ = f.plan(false, []ledger.Entry{line("a%0A", "2"), line("b", "2")})
	for _, c := range f.claimAll(run) {
		if c.URI == "d.jsonl#b" {
			f.ok(f.Dead(ctx, f.worker, c, ledger.Read{}, "refused", "content filter"))
			continue
		}
		done(c, ledger.Fields{JSON: []byte(`{"at":2}`)})
	}
	if e := found()["d.jsonl#a%0A"]; string(e.Fields.JSON) != `{"at":2}` {
		t.Errorf("%+v", e)
	}
	docs := must(f.Documents(ctx, "d.jsonl#b", 1))(t)
	if len(docs) != 1 || docs[0].ID != "b" || docs[0].Fields.TooLarge != 0 {
		t.Errorf("%+v", docs)
	}
}

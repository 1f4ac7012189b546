package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// Writes that share a transaction have the same outcomes as in transactions of their own.

// begun is the result of a BeginCall.
type begun struct {
	call  ledger.CallID
	known *ledger.Answer
	err   error
}

// beginTogether starts calls of these names in one transaction.
func (s *spender) beginTogether(names ...string) []begun {
	all := make([]begun, len(names))
	var functions []func()
	for i, name := range names {
		functions = append(functions, func() { all[i].call, all[i].known, all[i].err = s.BeginCall(s.t.Context(), s.reservation(name)) })
	}
	s.CommitTogether(functions...)
	return all
}

func (s *spender) end(name string, call ledger.CallID, content string) {
	s.t.Helper()
	s.ok(s.EndCall(s.t.Context(), call, s.reservation(name), ledger.Answer{Content: content, CostNano: &s.cost, TokensIn: 1}))
}

func testEqualCallsTogether(t *testing.T, db database) {
	s := newSpender(t, db)
	got := s.beginTogether("b", "a", "b", "b")
	s.refused(got[2].err, ledger.ErrBusy)
	s.refused(got[3].err, ledger.ErrBusy)
	s.ok(errors.Join(got[0].err, got[1].err))
	if got[0].call == 0 || got[1].call == 0 || got[0].call == got[1].call {
		t.Fatalf("calls %d and %d", got[0].call, got[1].call)
	}
	var next begun
	s.CommitTogether(
		func() { next.call, next.known, next.err = s.BeginCall(t.Context(), s.reservation("b")) },
		func() { s.end("a", got[1].call, "answer of a") },
		func() { s.end("b", got[0].call, "answer of b") },
	)
	s.ok(next.err)
	if next.known == nil || next.known.Content != "answer of b" {
		t.Errorf("in the transaction that ends an equal call: %+v", next)
	}
	if again := s.beginTogether("a", "c"); again[0].known == nil || again[0].known.Content != "answer of a" || again[1].known != nil || again[1].err != nil {
		t.Errorf("after it: %+v", again)
	}
}

func testAnswersBeforeAForcedRunTogether(t *testing.T, db database) {
	s := newSpender(t, db)
	first := s.beginTogether("a", "b")
	s.end("a", first[0].call, "old")
	s.end("b", first[1].call, "old")
	db.clock.advance(time.Minute)
	forced := s.reservation("a")
	forced.Since = db.clock.now()
	var a, b begun
	s.CommitTogether(
		func() { a.call, a.known, a.err = s.BeginCall(t.Context(), forced) },
		func() { b.call, b.known, b.err = s.BeginCall(t.Context(), s.reservation("b")) },
	)
	s.ok(errors.Join(a.err, b.err))
	if a.known != nil || a.call == 0 || b.known == nil || b.call != 0 {
		t.Errorf("forced %+v, not forced %+v", a, b)
	}
}

func testBudgetTogether(t *testing.T, db database) {
	s := newSpender(t, db)
	s.budget(1000)
	s.spendTogether()
}

func testDayBudgetTogether(t *testing.T, db database) {
	s := newSpender(t, db)
	budget := int64(1000)
	s.dayCap = &budget
	s.spendTogether()
}

// spendTogether spends 1000: reservations of one transaction are made one after the other, and
// those that do not fit say why.
func (s *spender) spendTogether() {
	s.t.Helper()
	s.cost = 0
	first, err := s.begin("so that the day is counted")
	s.ok(err)
	first()
	got := s.beginTogether("a", "b", "c", "d")
	s.ok(errors.Join(got[0].err, got[1].err))
	s.refused(got[2].err, ledger.ErrReserved)
	s.refused(got[3].err, ledger.ErrReserved)
	s.cost = s.reserve
	s.CommitTogether(func() { s.end("a", got[0].call, "") }, func() { s.end("b", got[1].call, "") })
	for _, b := range s.beginTogether("e", "f", "g") { // 400 each, and 200 are left
		s.refused(b.err, ledger.ErrBudget)
	}
	s.reserve = 200
	got = s.beginTogether("e", "f")
	s.ok(got[0].err)
	s.refused(got[1].err, ledger.ErrReserved)
}

func testEndsTogether(t *testing.T, db database) {
	s := newSpender(t, db)
	s.budget(1_000_000)
	var names []string
	for i := range 75 { // more than fit into one statement
		names = append(names, fmt.Sprintf("call %d", i))
	}
	got := s.beginTogether(names...)
	functions := []func(){
		func() { s.end(names[0], got[0].call, "corrected") },
		func() {
			s.ok(s.FailCall(t.Context(), got[1].call, s.reservation(names[1]), "transient", ledger.Answer{CostNano: &s.reserve, TokensIn: 5}))
		},
	}
	for i, b := range got {
		s.ok(b.err)
		if i != 1 {
			functions = append(functions, func() { s.end(names[i], b.call, "answer "+names[i]) })
		}
	}
	s.CommitTogether(functions...)
	s.CommitTogether( // one of them fails
		func() { s.end(names[2], got[2].call, "answer "+names[2]) },
		func() {
			if s.EndCall(t.Context(), 1<<40, s.reservation("x"), ledger.Answer{}) == nil {
				t.Error("a call that does not exist was ended")
			}
		},
		func() { s.end(names[3], got[3].call, "answer "+names[3]) },
	)
	_, account, err := s.Totals(t.Context(), s.run.ID)
	s.ok(err)
	if want := 74*s.cost + s.reserve; account.CostNano != want || account.Calls != 75 || account.TokensIn != 74+5 {
		t.Errorf("account %+v, want 75 calls for %d", account, want)
	}
	left := 1_000_000 - account.CostNano
	s.reserve = left + 1
	_, err = s.begin("more than is left")
	s.refused(err, ledger.ErrBudget)
	s.reserve = left
	_, err = s.begin("what is left")
	s.ok(err)
	for i, b := range s.beginTogether(names...) {
		switch {
		case i == 1 && b.known != nil:
			t.Error("a failed call has an answer")
		case i > 1 && (b.known == nil || b.known.Content != "answer "+names[i]):
			t.Errorf("answer %d: %+v", i, b)
		}
	}
}

func testDoneTogether(t *testing.T, db database) {
	f := setUp(t, db)
	run, _ := f.plan(false, entries(40))
	claimed := f.claimAll(run)
	stale := claimed[0]
	stale.Epoch--
	f.ok(f.Failed(t.Context(), f.worker, claimed[1], "transient", "once", 0))
	for _, c := range f.claimAll(run) {
		claimed[1] = c
	}
	functions := []func(){
		func() { f.refused(f.done(stale), ledger.ErrStale) },
		func() {
			var searched error
			_, searched = f.Summary(t.Context(), "summary of an equal document", time.Time{})
			f.ok(searched)
		},
	}
	for i, c := range claimed[1:] {
		s := ledger.Summary{Name: "summary of an equal document", Text: "text", Model: "model", Chunks: 1}
		if i%3 == 0 {
			s.Name = "summary of " + c.URI
			s.Checks = []byte(`[{"check":"name"}]`)
		}
		functions = append(functions, func() {
			f.ok(f.Done(t.Context(), f.worker, c, ledger.Read{Version: c.Version, SHA256: "sha-" + c.URI}, s))
		})
	}
	f.CommitTogether(functions...)
	f.totals(run, ledger.Totals{Total: 40, Done: 39, Remaining: 1})
	if n := must(f.Flagged(t.Context(), run.ID))(t); n != 13 {
		t.Errorf("%d are flagged, want 13", n)
	}
	var got []string
	f.ok(f.Summaries(t.Context(), report.SummaryFilter{Run: run.ID}, func(e ledger.Exported) error {
		got = append(got, e.URI+" "+e.ContentSHA256+" "+e.Summary.Name)
		return nil
	}))
	var want []string
	for i, c := range claimed[1:] {
		name := "summary of an equal document"
		if i%3 == 0 {
			name = "summary of " + c.URI
		}
		want = append(want, c.URI+" sha-"+c.URI+" "+name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("summaries (-want +got):\n%s", diff)
	}
	views := must(f.Documents(t.Context(), claimed[1].URI, 10))(t)
	if len(views) != 1 || len(views[0].History) != 2 || views[0].History[1].Event != "done" || views[0].Attempts != 2 {
		t.Errorf("history %+v", views)
	}
	f.ok(f.done(claimed[0])) // a stale one in the same transaction has no effect on it
	f.totals(run, ledger.Totals{Total: 40, Done: 40})
}

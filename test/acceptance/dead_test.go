//go:build integration

package acceptance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// document is what `show -o json` prints about a document.
type document struct {
	URI      string  `json:"uri"`
	State    string  `json:"state"`
	Attempts int64   `json:"attempts"`
	History  []event `json:"history"`
}

type event struct {
	At      time.Time `json:"at"`
	Event   string    `json:"event"`
	Attempt int64     `json:"attempt"`
	Class   string    `json:"class"`
	Message string    `json:"message"`
}

func (u *user) show(uri string) document {
	u.t.Helper()
	var d document
	u.run("show", uri, "-o", "json").WantCode(0).Decode(&d)
	return d
}

// events returns the events in a document's history, in order.
func (d document) events() string {
	var names []string
	for _, e := range d.History {
		names = append(names, e.Event)
	}
	return strings.Join(names, " ")
}

// A document that cannot be done is listed with its reason. Once the cause is fixed, `dead
// retry` brings it back with its history.
func TestDeadRetry(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.notes(0, 10)
	u.write("refused.txt", []byte(note(100)+"FAKELLM-FILTER\n"))
	u.write("failing.txt", []byte(note(101)+"FAKELLM-FAIL\n"))
	u.write("edited.txt", []byte(note(102)+"FAKELLM-REFUSE\n"))
	retries := []string{"--max-attempts", "3", "--retry-base", "20ms"}

	u.summarize(retries...).Wait().WantCode(3).Says("3 documents dead", "gistmill dead list")
	u.wantTotals("finished", programtest.Totals{Total: 13, Done: 10, Dead: 3})
	dead := u.dead()
	for uri, want := range map[string]deadLetter{
		"refused.txt": {Class: "refused", Attempts: 1}, "failing.txt": {Class: "exhausted", Attempts: 3}, "edited.txt": {Class: "refused", Attempts: 1},
	} {
		got := dead[uri]
		if got.Class != want.Class || got.Attempts != want.Attempts || got.Message == "" || got.At.IsZero() || got.Run == "" {
			t.Errorf("%s: dead letter %+v, want class %s after %d attempts", uri, got, want.Class, want.Attempts)
		}
	}
	if strings.Contains(u.run("dead", "list").WantCode(0).Stdout, "Observer") {
		t.Error("the dead list shows text of a document")
	}

	// Only changed documents are tried again without a request.
	before := u.fake.Stats().Calls
	u.write("edited.txt", []byte(note(102)))
	u.summarize(retries...).Wait().WantCode(3)
	u.wantTotals("finished", programtest.Totals{Total: 13, Done: 1, Dead: 2, Skipped: 10})
	if calls := u.fake.Stats().Calls - before; calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}

	// The cause remains: dead again, with one more event in the history.
	u.run("dead", "retry", "--class", "refused").WantCode(0)
	u.wantTotals("running", programtest.Totals{Total: 13, Done: 1, Dead: 1, Skipped: 10, Remaining: 1})
	u.summarize(retries...).Wait().WantCode(3)
	u.wantTotals("finished", programtest.Totals{Total: 13, Done: 1, Dead: 2, Skipped: 10})
	if got := u.dead()["refused.txt"]; got.Attempts != 2 {
		t.Errorf("refused.txt has %d attempts, want 2", got.Attempts)
	}

	// The cause is fixed.
	u.set(func(c *fakellm.Config) { c.FilterMarker, c.FailMarker = "", "" })
	u.run("dead", "retry").WantCode(0)
	u.wantTotals("running", programtest.Totals{Total: 13, Done: 1, Skipped: 10, Remaining: 2})
	if left := u.dead(); len(left) != 0 {
		t.Errorf("still dead: %v", left)
	}
	u.summarize(retries...).Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: 13, Done: 3, Skipped: 10})
	for uri, want := range map[string]struct {
		attempts int64
		events   string
	}{
		"refused.txt": {3, "dead retried dead retried done"},
		"failing.txt": {4, "failed failed dead retried done"},
	} {
		d := u.show(uri)
		if d.State != "done" || d.Attempts != want.attempts || d.events() != want.events {
			t.Errorf("%s is %s after %d attempts with history %q, want done, %d, %q", uri, d.State, d.Attempts, d.events(), want.attempts, want.events)
		}
		if !slices.IsSortedFunc(d.History, func(a, b event) int { return a.At.Compare(b.At) }) {
			t.Errorf("%s: the history is not in order: %+v", uri, d.History)
		}
	}
	if stats := u.fake.Stats(); stats.Outcomes[fakellm.OutcomeOK] != 13 {
		t.Errorf("%d answers, want 13", stats.Outcomes[fakellm.OutcomeOK])
	}
	if got := len(u.summaries()); got != 13 {
		t.Errorf("%d summaries, want 13", got)
	}
}

// A dead letter that is dropped is not reported again.
func TestDeadDrop(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.notes(0, 3)
	u.write("refused.txt", []byte(note(100)+"FAKELLM-FILTER\n"))
	u.summarize().Wait().WantCode(3)
	u.run("dead", "drop", "--uri", "nothing-like-it").WantCode(0)
	if len(u.dead()) != 1 {
		t.Error("the filter has no effect")
	}
	u.run("dead", "drop", "--uri", "refused.*").WantCode(0)
	if left := u.dead(); len(left) != 0 {
		t.Errorf("still dead: %v", left)
	}
	before := u.fake.Stats().Calls
	u.summarize().Wait().WantCode(0)
	u.wantTotals("finished", programtest.Totals{Total: 4, Skipped: 4})
	if calls := u.fake.Stats().Calls - before; calls != 0 {
		t.Errorf("%d calls, want none", calls)
	}
}

// A forced run tries dead letters too.
func TestForceTriesDead(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.notes(0, 3)
	u.write("refused.txt", []byte(note(100)+"FAKELLM-FILTER\n"))
	u.write("empty.txt", nil)
	u.summarize().Wait().WantCode(3)
	u.set(func(c *fakellm.Config) { c.FilterMarker = "" })
	u.summarize("--force").Wait().WantCode(3)
	u.wantTotals("finished", programtest.Totals{Total: 5, Done: 4, Dead: 1})
	if dead := u.dead(); len(dead) != 1 || dead["empty.txt"].Class != "input" {
		t.Errorf("dead: %v, want empty.txt", dead)
	}
	if d := u.show("refused.txt"); d.State != "done" || !strings.HasPrefix(d.events(), "dead") {
		t.Errorf("refused.txt is %s with history %q", d.State, d.events())
	}
}

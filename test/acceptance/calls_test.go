//go:build integration

package acceptance

import (
	"os"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// Each distinct content is paid for with one call, and never a second time.
func TestCalls(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const distinct = 12
	u.notes(0, distinct)
	u.write("copies/one.txt", []byte(note(3)))
	u.write("copies/two.txt", []byte(note(3)))
	documents := int64(distinct + 2)
	prompt := u.path("prompt.md")
	if err := os.WriteFile(prompt, []byte("Say in one sentence what this is about:\n\n{{.Text}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		name   string
		change func()
		args   []string
		calls  int64
		totals programtest.Totals
	}{
		{name: "the first run pays for each content once", calls: distinct, totals: programtest.Totals{Total: documents, Done: documents}},
		{name: "the second run pays nothing", totals: programtest.Totals{Total: documents, Skipped: documents}},
		{
			name: "a changed document", change: func() { u.write(noteName(5), []byte(note(1005))) },
			calls: 1, totals: programtest.Totals{Total: documents, Done: 1, Skipped: documents - 1},
		},
		{
			name: "a copy under another name", change: func() { u.write("copies/three.txt", []byte(note(7))) },
			totals: programtest.Totals{Total: documents + 1, Done: 1, Skipped: documents},
		},
		{
			name: "touched, not changed", change: func() { u.write(noteName(8), []byte(note(8))) },
			totals: programtest.Totals{Total: documents + 1, Done: 1, Skipped: documents},
		},
		{name: "another prompt", args: []string{"--prompt", prompt}, calls: distinct, totals: programtest.Totals{Total: documents + 1, Done: documents + 1}},
		{name: "the first prompt again", totals: programtest.Totals{Total: documents + 1, Skipped: documents + 1}},
		{name: "another length", args: []string{"--words", "40"}, calls: distinct, totals: programtest.Totals{Total: documents + 1, Done: documents + 1}},
		{name: "forced", args: []string{"--force"}, calls: distinct, totals: programtest.Totals{Total: documents + 1, Done: documents + 1}},
		{name: "after the forced run", totals: programtest.Totals{Total: documents + 1, Skipped: documents + 1}},
	}
	for _, step := range steps {
		if step.change != nil {
			step.change()
		}
		before := u.paid()
		u.summarize(step.args...).Wait().WantCode(0)
		if calls := u.paid() - before; calls != step.calls {
			t.Errorf("%s: %d calls, want %d", step.name, calls, step.calls)
		}
		if s := u.status(); s.Phase() != "finished" || s.Documents != step.totals || s.Calls != step.calls {
			t.Errorf("%s: %s, %d calls, %+v, want finished, %d calls, %+v", step.name, s.Phase(), s.Calls, s.Documents, step.calls, step.totals)
		}
	}
	if n := len(u.summaries()); int64(n) != documents+1 {
		t.Errorf("%d summaries, want %d", n, documents+1)
	}
}

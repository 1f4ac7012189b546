package export

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/marker"
)

// writeEarly writes the pages of some summaries early, in this order.
func writeEarly(t *testing.T, o *Output, some ...ledger.Exported) {
	t.Helper()
	a := NewEarlyWriter(o)
	go a.Run(t.Context())
	for _, e := range some {
		a.Add(e)
	}
	a.Close()
}

// write writes the folder and returns the number of its summaries.
func (o *Output) write(t *testing.T, all ...ledger.Exported) int {
	t.Helper()
	w, err := o.Write(t.Context(), contentOf(true, stream(all...), allKnown))
	if err != nil {
		t.Fatal(err)
	}
	return w.Summaries
}

// Whatever was written early, and in which order, the folder ends up the same.
func TestEarlyPagesChangeNothing(t *testing.T) {
	t.Parallel()
	changed := exported("sub/report.pdf")
	changed.Summary.Text = "The summary before the document was done again."
	plain, upper, lower, file, within := exported("a.txt"), exported("README.md"), exported("readme.md"), exported("x"), exported("x.md/y")
	folder, page := exported("B.md/z"), exported("b")
	all := []ledger.Exported{folder, upper, plain, page, lower, exported("sub/report.pdf"), file, within}
	for name, early := range map[string][]ledger.Exported{
		"nothing":            nil,
		"all":                all,
		"some":               {plain, file},
		"the other way":      {within, file, exported("sub/report.pdf"), lower, page, plain, upper, folder},
		"only the second":    {lower, within, page},
		"twice":              {plain, plain, lower, lower},
		"changed since":      {changed},
		"changed, and again": {changed, exported("sub/report.pdf")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, without := t.TempDir(), t.TempDir()
			if n := open(t, without).write(t, all...); n != len(all) {
				t.Fatal(n)
			}
			o := open(t, dir)
			writeEarly(t, o, early...)
			if n := o.write(t, all...); n != len(all) {
				t.Fatal(n)
			}
			want, got := tree(t, without), tree(t, dir)
			delete(want, marker.Name) // its lines have another order
			delete(got, marker.Name)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("without (-), with (+):\n%s", diff)
			}
		})
	}
}

func TestUpToDatePagesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := open(t, dir)
	writeEarly(t, o, exported("a.txt"), exported("sub/b.txt"))
	old := time.Unix(1000, 0)
	for _, name := range []string{"a.txt.md", "sub/b.txt.md"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatalf("not written early: %v", err)
		}
	}
	// It is not even read again: an edit made meanwhile stays until the next run.
	if err := os.Truncate(filepath.Join(dir, "a.txt.md"), 0); err != nil {
		t.Fatal(err)
	}
	o.write(t, exported("a.txt"), exported("sub/b.txt"))
	if got := tree(t, dir); got["a.txt.md"] != "" || got["sub/b.txt.md"] == "" || got[LinesName] == "" {
		t.Errorf("%q", got)
	}
}

// A folder that can no longer be written to blocks no caller, and Write returns the error.
func TestEarlyWriterThatFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	o := open(t, dir)
	aside := dir + ".aside"
	// A file in the place of a page's folder, which nothing may replace.
	if err := errors.Join(os.Remove(dir), os.Mkdir(aside, 0o700), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	var many []ledger.Exported
	for range 2 * earlyQueue {
		many = append(many, exported("a.txt"))
	}
	writeEarly(t, o, many...)
	if _, err := o.Write(t.Context(), contentOf(true, stream(many[0]), allKnown)); err == nil {
		t.Error("no error")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if n := open(t, dir).write(t, many[0]); n != 1 || tree(t, dir)["a.txt.md"] == "" {
		t.Errorf("after the fix: %d", n)
	}
}

package export

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/ledger"
)

// writeEarly writes the pages of some summaries early, in this order.
func writeEarly(t *testing.T, dir string, some ...ledger.Exported) *EarlyWriter {
	t.Helper()
	a := NewEarlyWriter(dir)
	go a.Run(t.Context())
	for _, e := range some {
		a.Add(e)
	}
	a.Close()
	return a
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
			if n, err := Folder(t.Context(), without, nil, stream(all...)); n != len(all) || err != nil {
				t.Fatal(n, err)
			}
			a := writeEarly(t, dir, early...)
			if n, err := Folder(t.Context(), dir, a, stream(all...)); n != len(all) || err != nil {
				t.Fatal(n, err)
			}
			if diff := cmp.Diff(tree(t, without), tree(t, dir)); diff != "" {
				t.Errorf("without (-), with (+):\n%s", diff)
			}
		})
	}
}

func TestUpToDatePagesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := writeEarly(t, dir, exported("a.txt"), exported("sub/b.txt"))
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
	if _, err := Folder(t.Context(), dir, a, stream(exported("a.txt"), exported("sub/b.txt"))); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); got["a.txt.md"] != "" || got["sub/b.txt.md"] == "" || got[LinesName] == "" {
		t.Errorf("%q", got)
	}
}

// A folder that cannot be written to blocks no caller, and Folder returns the error.
func TestEarlyWriterThatFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var many []ledger.Exported
	for range 2 * earlyQueue {
		many = append(many, exported("a.txt"))
	}
	a := writeEarly(t, dir, many...)
	if _, err := Folder(t.Context(), dir, a, stream(many[0])); err == nil {
		t.Error("no error")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if n, err := Folder(t.Context(), dir, a, stream(many[0])); n != 1 || err != nil || tree(t, dir)["a.txt.md"] == "" {
		t.Errorf("after the fix: %d, %v", n, err)
	}
}

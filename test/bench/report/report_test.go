package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/bench/report"
)

func TestSaveReplacesOneSection(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "RESULTS.md")
	for _, section := range [][2]string{
		{"One", "first"}, {"Two", "second\n\n### within\n\ntext"}, {"Three", "third"},
		{"Two", "second again"}, {"One", "first again"}, {"Three", "third again"}, {"On", "another"},
	} {
		if err := report.Save(name, section[0], section[1]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(b), "\n## ")
	if !strings.HasPrefix(head, "# ") {
		t.Errorf("begins with %q", head)
	}
	if want := "One\n\nfirst again\n\n## Two\n\nsecond again\n\n## Three\n\nthird again\n\n## On\n\nanother\n"; rest != want {
		t.Errorf("got\n%s\nwant\n%s", rest, want)
	}
	left, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestSaveKeepsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "x.md")
	if err := os.WriteFile(name, []byte("## A\n\nold\n\n## B\nkept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := report.Save(name, "A", "new"); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(name); string(b) != "## A\n\nnew\n\n## B\nkept\n" {
		t.Errorf("%q", b)
	}
	if err := report.Save(filepath.Join(name, "no", "such"), "A", ""); err == nil {
		t.Error("saved where nothing can be")
	}
}

func TestHere(t *testing.T) {
	t.Parallel()
	here := report.Here(t.Context(), "`make x`")
	for _, want := range []string{"- command: `make x`\n", "- commit: ", "- machine: ", "load before"} {
		if !strings.Contains(here, want) {
			t.Errorf("%q is not in %s", want, here)
		}
	}
}

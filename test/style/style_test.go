package style

import (
	"slices"
	"strings"
	"testing"
)

// Each pattern finds its own examples and leaves the others.
func TestPhrases(t *testing.T) {
	t.Parallel()
	for _, p := range retiredPhrases() {
		re := p.compile()
		for _, bad := range p.bad {
			if !re.MatchString(bad) {
				t.Errorf("%s does not find %q", p.pattern, bad)
			}
		}
		for _, good := range p.good {
			if re.MatchString(good) {
				t.Errorf("%s finds %q", p.pattern, good)
			}
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	source := file{"p.go", "package p\n\n// One\n// two.\nvar A = \"three\" // four\n"}
	want := []text{{3, "One\ntwo."}, {5, "four"}, {5, "three"}}
	if got := source.texts(t); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	page := file{"p.md", "# One\n\n- two\n  three\n"}
	want = []text{{1, "One"}, {3, "two\nthree"}}
	if got := page.texts(t); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWide(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 20) + "word"
	source := "package p\n// " + long + "\nvar a = 1 // " + long + "\n// https://" + strings.Repeat("a", 100) +
		"\n//go:generate " + long + "\nvar b = `\n// " + long + "\n`\n// short\n"
	if got := wide(file{"p.go", source}); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("%v", got)
	}
}

func TestDeclared(t *testing.T) {
	t.Parallel()
	source := "package p\ntype A struct{ b int }\ntype C interface{ D() }\nfunc (A) E() { const f = 1; g := 2; _ = g }\nvar h, i = 1, 2\n"
	var got []string
	for _, name := range declared(t, file{"p.go", source}) {
		got = append(got, name.words)
	}
	slices.Sort(got)
	if want := []string{"A", "C", "D", "E", "b", "f", "h", "i"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

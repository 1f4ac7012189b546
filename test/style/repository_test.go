package style

import (
	"flag"
	"path"
	"regexp"
	"strings"
	"testing"
)

// under is the folder or file to check, relative to the module. Default: the whole module. For
// example: go test ./test/style -args -under keda
var under = flag.String("under", "", "check this folder or file only")

// Comments fit into a narrow window, and side by side with another file.
func TestCommentWidth(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t, *under) {
		if path.Ext(f.path) != ".go" || f.generated() {
			continue
		}
		for _, line := range wide(f) {
			t.Errorf("%s:%d: a comment beyond column %d", f.path, line, maxColumns)
		}
	}
}

// A retired name is declared nowhere.
func TestRetiredNames(t *testing.T) {
	t.Parallel()
	names := retiredNames()
	for _, f := range sources(t, *under) {
		if path.Ext(f.path) != ".go" {
			continue
		}
		for _, name := range declared(t, f) {
			if better, ok := names[name.words]; ok {
				t.Errorf("%s:%d: %s is retired: %s", f.path, name.line, name.words, better)
			}
		}
	}
}

// Comments, messages and documents are in plain English.
func TestRetiredPhrases(t *testing.T) {
	t.Parallel()
	phrases := retiredPhrases()
	compiled := make([]*regexp.Regexp, len(phrases))
	for i, p := range phrases {
		compiled[i] = p.compile()
	}
	for _, f := range sources(t, *under) {
		for _, words := range f.texts(t) {
			for i, re := range compiled {
				for _, at := range re.FindAllStringIndex(words.words, -1) {
					if inputs(f.path, words.words) {
						continue
					}
					line := words.line + strings.Count(words.words[:at[0]], "\n")
					found := strings.Join(strings.Fields(words.words[at[0]:at[1]]), " ")
					t.Errorf("%s:%d: %q: write %s", f.path, line, found, phrases[i].better)
				}
			}
		}
	}
}

// inputs reports whether a text is a quotation, which must not change.
func inputs(name, words string) bool {
	for _, quoted := range quotations() {
		if name == quoted.file && strings.Contains(words, quoted.words) {
			return true
		}
	}
	return false
}

// quotations returns the quotations in code and reports, by file.
func quotations() []struct{ file, words string } {
	return []struct{ file, words string }{
		{"tasks/queue.go", "nobody"}, // a member of a Redis set that never exists
		{"test/quality/RESULTS.md", "a Wasm file that can run by itself"},
	}
}

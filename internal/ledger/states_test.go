package ledger_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// SQL names states in words. Every word is one of the constants.
func TestStatesInSQL(t *testing.T) {
	t.Parallel()
	constants, err := os.ReadFile("states.go")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, m := range regexp.MustCompile(`(?:State|partitionState) += "(\w+)"`).FindAllStringSubmatch(string(constants), -1) {
		known = append(known, m[1])
	}
	if len(known) != 14 {
		t.Fatalf("states.go has the states %q", known)
	}
	condition := regexp.MustCompile(`\bstate (?:=|<>|IN|WHEN) *\(?('\w+'(?:, '\w+')*)`)
	found := 0
	for _, pattern := range []string{"*.go", "report/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range condition.FindAllStringSubmatch(string(source), -1) {
				for state := range strings.SplitSeq(m[1], ", ") {
					found++
					if !slices.Contains(known, strings.Trim(state, "'")) {
						t.Errorf("%s: there is no state %s", file, state)
					}
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("found only %d states in SQL", found)
	}
}

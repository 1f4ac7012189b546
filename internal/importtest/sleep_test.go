package importtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A test that sleeps is slow if it waits too long, and flaky if it does not. A sleep takes no time
// only in a synctest bubble, so a test file that sleeps must import testing/synctest.
func TestNoSleepOutsideBubbles(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	walk(t, root, func(name, rel string) error {
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, at := range sleeps(f) {
			t.Errorf("%s:%d sleeps: wait for an event, or run the test in a bubble of testing/synctest", rel, fset.Position(at).Line)
		}
		return nil
	})
}

// sleeps returns the calls of time.Sleep in a file without bubbles.
func sleeps(f *ast.File) []token.Pos {
	for _, spec := range f.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil && path == "testing/synctest" {
			return nil
		}
	}
	return calls(f, "time", "Sleep")
}

func TestSleeps(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{
		`package p; import "time"; func f() { time.Sleep(1) }`:                                              1,
		`package p; import ("time"; "testing/synctest"); var _ = synctest.Test; func f() { time.Sleep(1) }`: 0,
		`package p; import "time"; func f() { time.Now() }`:                                                 0,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "p_test.go", source, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(sleeps(f)); got != want {
			t.Errorf("%s: found %d, want %d", source, got, want)
		}
	}
}

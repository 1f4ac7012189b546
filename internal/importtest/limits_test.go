package importtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxFiles bounds the files of a package without tests, so that it keeps one subject.
const maxFiles = 30

// A package with more files than a reader can keep in mind is divided. The command has one file for
// each subcommand, and extract one for each format.
func TestPackagesAreSmall(t *testing.T) {
	t.Parallel()
	files := make(map[string]int)
	walk(t, filepath.Join("..", ".."), func(_, rel string) error {
		if !strings.HasSuffix(rel, "_test.go") {
			files[path.Dir(filepath.ToSlash(rel))]++
		}
		return nil
	})
	for dir, n := range files {
		if n > maxFiles && !slices.Contains([]string{"cmd/gistmill", "internal/extract"}, dir) {
			t.Errorf("%s has %d files without tests, at most %d are allowed: divide it", dir, n, maxFiles)
		}
	}
}

// Job, claim, cost and slot of a call are arguments. A context value would hide them from the
// signature, and a missing one would be found only at run time.
func TestNoContextValues(t *testing.T) {
	t.Parallel()
	walk(t, filepath.Join("..", ".."), func(name, rel string) error {
		dir := path.Dir(filepath.ToSlash(rel))
		if strings.HasSuffix(rel, "_test.go") || !under(dir, "worker") && !under(dir, "internal/summarize") && !under(dir, "internal/llm") {
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, at := range calls(f, "context", "WithValue") {
			t.Errorf("%s:%d: context.WithValue: pass an argument", rel, set.Position(at).Line)
		}
		return nil
	})
}

// calls returns where a file uses a function of a package.
func calls(f *ast.File, pkg, name string) []token.Pos {
	var found []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				found = append(found, sel.Pos())
			}
		}
		return true
	})
	return found
}

package style

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A text is a piece of prose in a file: a comment, a string, a paragraph.
type text struct {
	line  int // where it begins
	words string
}

// A file is one that the rules apply to, by its path relative to the module.
type file struct {
	path    string
	content string
}

// firstPlain is the day from which decision notes are held to the rules. Notes are not edited
// later.
const firstPlain = "2026-11-30"

// sources returns the files below a folder of the module, except those that are skipped or free.
func sources(t *testing.T, under string) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var found []file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && skipped(rel):
			return filepath.SkipDir
		case d.IsDir(), free(rel), under != "" && rel != under && !strings.HasPrefix(rel, under+"/"):
			return nil
		}
		b, err := os.ReadFile(name)
		if err == nil {
			found = append(found, file{rel, string(b)})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// skipped reports whether a folder contains inputs, outputs, or texts that must not change.
func skipped(dir string) bool {
	base := path.Base(dir)
	switch {
	case dir == ".", dir == ".ci", dir == ".github", dir == ".devcontainer":
		return false
	case strings.HasPrefix(base, "."):
		return true
	}
	return slices.Contains([]string{
		"bin", "summaries", "examples/documents", "internal/ledger/migrations", "internal/ledger/sqldb/migrations",
		"internal/summarize/prompts/v1", "test/quality/testdata",
	}, dir)
}

// free reports whether the rules do not apply to a file.
func free(name string) bool {
	base := path.Base(name)
	if note, ok := strings.CutPrefix(name, "docs/decisions/2"); ok && "2"+note < firstPlain {
		return true
	}
	if strings.Contains("/"+name, "/testdata/") && path.Ext(name) != ".txtar" || strings.HasPrefix(name, "test/style/") {
		return true
	}
	if base == "Makefile" || base == "Dockerfile" || strings.HasPrefix(name, ".ci/") || strings.Contains(name, "/prompts/v") {
		return false
	}
	return name == "CHANGELOG.md" || base == "CHANGELOG.md" ||
		!slices.Contains([]string{".go", ".md", ".yaml", ".yml", ".tpl", ".sql", ".lua", ".sh", ".acl", ".toml", ".txtar"}, path.Ext(name)) &&
			base != "NOTES.txt" && base != "values.schema.json" && base != "dashboard.json"
}

// texts returns the prose of a file.
func (f file) texts(t *testing.T) []text {
	t.Helper()
	switch path.Ext(f.path) {
	case ".go":
		return goTexts(t, f)
	case ".txtar":
		return paragraphs(f.content, func(line string) bool { return strings.HasPrefix(line, "#") })
	}
	return paragraphs(f.content, func(string) bool { return true })
}

// marker matches the beginning of a line of a comment, a list or a quotation.
var marker = regexp.MustCompile(`^\s*(//|#+|--|;|\*|>|-|\{\{-? ?/\*)*\s*`)

// paragraphs returns the groups of wanted lines that no other line separates.
func paragraphs(content string, wanted func(line string) bool) []text {
	var (
		all     []text
		current []string
		begin   int
	)
	end := func() {
		if len(current) > 0 {
			all = append(all, text{begin, strings.Join(current, "\n")})
			current = nil
		}
	}
	number := 0
	for line := range strings.Lines(content) {
		number++
		line = strings.TrimRight(line, "\r\n")
		words := strings.TrimSpace(marker.ReplaceAllString(line, ""))
		if words == "" || !wanted(line) {
			end()
			continue
		}
		if len(current) == 0 {
			begin = number
		}
		current = append(current, words)
	}
	end()
	return all
}

// goTexts returns the comments and strings of a Go file.
func goTexts(t *testing.T, f file) []text {
	t.Helper()
	set := token.NewFileSet()
	parsed := parse(t, set, f)
	var all []text
	for _, group := range parsed.Comments {
		first := set.Position(group.Pos()).Line
		var lines []string
		for _, c := range group.List {
			for line := range strings.SplitSeq(c.Text, "\n") {
				line = strings.TrimSuffix(strings.TrimPrefix(line, "/*"), "*/")
				lines = append(lines, marker.ReplaceAllString(line, ""))
			}
		}
		all = append(all, text{first, strings.Join(lines, "\n")})
	}
	var own map[*ast.BasicLit]bool
	if quotes(f.path) {
		own = messages(parsed)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING && (own == nil || own[n]) {
				words, err := strconv.Unquote(n.Value)
				if err != nil {
					t.Fatalf("%s: %v", f.path, err)
				}
				at := set.Position(n.Pos()).Line
				if n.Value[0] == '"' { // its line ends are no lines of the file
					words = strings.ReplaceAll(words, "\n", " ")
				}
				all = append(all, text{at, words})
			}
		}
		return true
	})
	return all
}

// quotes reports whether a file is a test of a package that works on people's documents: its
// strings are inputs.
func quotes(name string) bool {
	return strings.HasSuffix(name, "_test.go") && slices.ContainsFunc([]string{
		"internal/checks/", "internal/corpus/", "internal/extract/", "internal/extractive/", "internal/source/",
		"internal/summarize/", "internal/text/", "test/fakellm/", "test/quality/",
	}, func(dir string) bool { return strings.HasPrefix(name, dir) })
}

// messages returns the strings of a test that are not inputs: what it reports, and the names of
// its cases.
func messages(parsed *ast.File) map[*ast.BasicLit]bool {
	found := make(map[*ast.BasicLit]bool)
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			method, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Error", "Errorf", "Fatal", "Fatalf", "Log", "Logf", "Skip", "Skipf", "Run"}, method.Sel.Name) {
				return true
			}
			for _, arg := range n.Args {
				if literal, ok := arg.(*ast.BasicLit); ok {
					found[literal] = true
				}
			}
		case *ast.KeyValueExpr:
			if literal, ok := n.Key.(*ast.BasicLit); ok {
				found[literal] = true
			}
		}
		return true
	})
	return found
}

// parse parses a Go file with its comments.
func parse(t *testing.T, set *token.FileSet, f file) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(set, f.path, f.content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// maxColumns is the width of a line that is or ends with a comment, a tab counted as one column.
const maxColumns = 100

// wide returns the numbers of the lines with comments that are wider than maxColumns. Directives,
// and comments of one word, such as an address, cannot be broken.
func wide(f file) []int {
	lines := strings.Split(f.content, "\n")
	var found []int
	check := func(number int, comment string) {
		words := strings.TrimSpace(strings.TrimPrefix(comment, "//"))
		directive := strings.HasPrefix(comment, "//go:") || strings.HasPrefix(comment, "//nolint")
		if !directive && strings.ContainsAny(words, " \t") && len([]rune(strings.TrimRight(lines[number-1], "\r"))) > maxColumns {
			found = append(found, number)
		}
	}
	set := token.NewFileSet()
	in := set.AddFile(f.path, -1, len(f.content))
	var s scanner.Scanner
	s.Init(in, []byte(f.content), nil, scanner.ScanComments)
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return found
		}
		if tok == token.COMMENT {
			for i, line := range strings.Split(literal, "\n") {
				check(in.Line(pos)+i, line)
			}
		}
	}
}

// generated reports whether a Go file is marked as generated.
func (f file) generated() bool {
	return regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`).MatchString(f.content)
}

// declared returns the names of the types, functions, methods, fields, constants, and variables of
// the package that a file declares, with their lines.
func declared(t *testing.T, f file) []text {
	t.Helper()
	set := token.NewFileSet()
	var all []text
	add := func(names ...*ast.Ident) {
		for _, name := range names {
			all = append(all, text{set.Position(name.Pos()).Line, name.Name})
		}
	}
	parsed := parse(t, set, f)
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			add(d.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					add(v.Names...)
				}
			}
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			add(n.Name)
		case *ast.StructType:
			for _, field := range n.Fields.List {
				add(field.Names...)
			}
		case *ast.InterfaceType:
			for _, method := range n.Methods.List {
				add(method.Names...)
			}
		case *ast.GenDecl:
			if n.Tok == token.CONST { // within functions, too
				for _, spec := range n.Specs {
					add(spec.(*ast.ValueSpec).Names...)
				}
			}
		}
		return true
	})
	return all
}

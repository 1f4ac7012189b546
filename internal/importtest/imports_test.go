package importtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The module follows the rules.
func TestImports(t *testing.T) {
	t.Parallel()
	pkgs := read(t, filepath.Join("..", ".."))
	if len(pkgs) < 3 {
		t.Fatalf("found %d packages: this is not the module", len(pkgs))
	}
	for _, v := range violations(pkgs) {
		t.Error(v)
	}
}

// read returns the imports of the whole module, regardless of build tags. It reads the files itself
// instead of running `go list`, so that go test's cache notices changed files.
func read(t *testing.T, root string) []pkg {
	t.Helper()
	byPath := make(map[string]*pkg)
	walk(t, root, func(name, rel string) error {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		path := filepath.ToSlash(filepath.Dir(rel))
		p := byPath[path]
		if p == nil {
			p = &pkg{Path: path}
			byPath[path] = p
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if strings.HasSuffix(name, "_test.go") {
				p.Tests = append(p.Tests, imported)
			} else {
				p.Imports = append(p.Imports, imported)
			}
		}
		return nil
	})
	pkgs := make([]pkg, 0, len(byPath))
	for _, p := range byPath {
		pkgs = append(pkgs, *p)
	}
	return pkgs
}

// walk calls visit for every Go file of the module, with its name and its path relative to root.
func walk(t *testing.T, root string, visit func(name, rel string) error) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			ignored := d.Name() == "testdata" || strings.HasPrefix(d.Name(), "_") || strings.HasPrefix(d.Name(), ".")
			if rel != "." && (ignored || err == nil) { // a go.mod begins another module
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		return visit(name, rel)
	})
	if err != nil {
		t.Fatalf("read the module's source: %v", err)
	}
}

// Each rule finds a violation and accepts its opposite.
func TestViolations(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		pkg  pkg
		want string // part of the only violation; "" for none
	}{
		{"cmd wires all", pkg{Path: "cmd/gistmill", Imports: []string{module + "/worker", module + "/tasks", module + "/internal/llm"}}, ""},
		{"worker uses internal and tasks", pkg{Path: "worker", Imports: []string{module + "/tasks", module + "/internal/ledger", "github.com/hibiken/asynq"}}, ""},
		{"a row of the matrix", pkg{Path: "internal/summarize", Imports: []string{module + "/internal/llm"}}, ""},
		{"a row allows subpackages", pkg{Path: "internal/telemetry", Imports: []string{module + "/internal/llm/limiter"}}, ""},
		{"a subpackage has its parent's row", pkg{Path: "internal/ledger/sqldb", Imports: []string{module + "/internal/text", "modernc.org/sqlite"}}, ""},
		{"packages of one row", pkg{Path: "internal/ledger/report", Imports: []string{module + "/internal/ledger/sqldb"}}, ""},
		{"own subpackages and parents", pkg{Path: "internal/ledger/report", Imports: []string{module + "/internal/ledger", module + "/internal/ledger/report/x"}}, ""},
		{"own subpackages outside internal", pkg{Path: "worker", Imports: []string{module + "/worker/drain"}}, ""},
		{"recovery knows the queue", pkg{Path: "internal/recovery", Imports: []string{module + "/tasks", "github.com/hibiken/asynq"}}, ""},
		{"a test uses a fake server", pkg{Path: "internal/llm", Tests: []string{module + "/test/fakellm"}}, ""},
		{"a test wires internal packages", pkg{Path: "internal/llm", Tests: []string{module + "/internal/ledger"}}, ""},
		{"a name with the same beginning", pkg{Path: "internal/llm", Imports: []string{"github.com/hibiken/asynqmon"}}, ""},
		{"sideways", pkg{Path: "worker", Imports: []string{module + "/enqueuer"}}, "worker imports enqueuer of the same layer"},
		{"a test wires two of a layer", pkg{Path: "worker", Tests: []string{module + "/enqueuer"}}, ""},
		{"up", pkg{Path: "internal/ledger", Imports: []string{module + "/worker"}}, "internal/ledger imports worker of a higher layer"},
		{"up to cmd", pkg{Path: "keda", Imports: []string{module + "/cmd/gistmill"}}, "keda imports cmd/gistmill of a higher layer"},
		{"tasks imports nothing of ours", pkg{Path: "tasks", Imports: []string{module + "/internal/ledger"}}, "tasks imports internal/ledger of a higher layer"},
		{"internal knows no tasks", pkg{Path: "internal/source", Imports: []string{module + "/tasks"}}, "only recovery knows the queue"},
		{"the ledger imports text alone", pkg{Path: "internal/ledger", Imports: []string{module + "/internal/llm"}}, "internal/ledger imports internal/llm: the matrix allows it internal/text"},
		{"a subpackage of llm too", pkg{Path: "internal/llm/limiter", Imports: []string{module + "/internal/ledger"}}, "the matrix allows it internal/certificates, internal/text"},
		{"text imports nothing", pkg{Path: "internal/text", Imports: []string{module + "/internal/loop"}}, "the matrix allows it nothing"},
		{"no row", pkg{Path: "internal/new", Imports: []string{module + "/internal/text"}}, "internal/new has no row"},
		{"a fake server in the program", pkg{Path: "internal/llm", Imports: []string{module + "/test/fakellm"}}, "never part of the program"},
		{"asynq in cmd", pkg{Path: "cmd/gistmill", Imports: []string{"github.com/hibiken/asynq"}}, "the queue is disposable"},
		{"PostgreSQL elsewhere", pkg{Path: "worker", Imports: []string{"github.com/jackc/pgx/v5/pgconn"}}, "use internal/ledger"},
		{"go-openai elsewhere", pkg{Path: "internal/summarize", Imports: []string{"github.com/sashabaranov/go-openai/jsonschema"}}, "only internal/llm may"},
		{"Kubernetes elsewhere", pkg{Path: "worker", Imports: []string{"k8s.io/client-go/rest"}}, "only keda, deploy, test may"},
		{"cgo", pkg{Path: "internal/source", Imports: []string{"C"}}, "no package may"},
		{"a folder without a layer", pkg{Path: "util"}, "has no layer"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := violations([]pkg{tc.pkg})
			switch {
			case tc.want == "" && len(got) > 0:
				t.Errorf("unexpected: %q", got)
			case tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)):
				t.Errorf("got %q, want one that has %q", got, tc.want)
			}
		})
	}
}

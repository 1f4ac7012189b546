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

// The module keeps the rules.
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

// read takes the imports from the source of the whole module, whatever its
// build tags. It reads the files itself and does not ask `go list`, since go test
// would then not see that they have changed and repeat a cached pass.
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

// walk calls visit with every Go file of the module, by name and relative to root.
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

// The rules find what they are there to find.
func TestViolations(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		pkg  pkg
		want string // a part of the only complaint; "" for none
	}{
		{"cmd wires all", pkg{Path: "cmd/gistmill", Imports: []string{module + "/worker", module + "/tasks", module + "/internal/llm"}}, ""},
		{"worker uses internal and tasks", pkg{Path: "worker", Imports: []string{module + "/tasks", module + "/internal/ledger", "github.com/hibiken/asynq"}}, ""},
		{"internal may use internal", pkg{Path: "internal/summarize", Imports: []string{module + "/internal/llm"}}, ""},
		{"a package's own parts", pkg{Path: "worker", Imports: []string{module + "/worker/drain"}}, ""},
		{"a test uses a fake server", pkg{Path: "internal/llm", Tests: []string{module + "/test/fakellm"}}, ""},
		{"a name that only begins alike", pkg{Path: "internal/llm", Imports: []string{"github.com/hibiken/asynqmon"}}, ""},
		{"sideways", pkg{Path: "worker", Imports: []string{module + "/enqueuer"}}, "worker imports enqueuer beside it"},
		{"a test wires parts together", pkg{Path: "worker", Tests: []string{module + "/enqueuer"}}, ""},
		{"up", pkg{Path: "internal/ledger", Imports: []string{module + "/worker"}}, "internal/ledger imports worker, which lies above it"},
		{"up to cmd", pkg{Path: "keda", Imports: []string{module + "/cmd/gistmill"}}, "keda imports cmd/gistmill, which lies above it"},
		{"tasks stands alone", pkg{Path: "tasks", Imports: []string{module + "/internal/ledger"}}, "tasks imports internal/ledger, which lies above it"},
		{"internal knows no tasks", pkg{Path: "internal/extract", Imports: []string{module + "/tasks"}}, "knows nothing of the queue"},
		{"recovery knows the queue", pkg{Path: "internal/recovery", Imports: []string{module + "/tasks", module + "/internal/ledger"}}, ""},
		{"worker uses recovery", pkg{Path: "worker", Imports: []string{module + "/internal/recovery"}}, ""},
		{"internal knows no recovery", pkg{Path: "internal/ledger", Imports: []string{module + "/internal/recovery"}}, "which lies above it"},
		{"a fake server in the program", pkg{Path: "internal/llm", Imports: []string{module + "/test/fakellm"}}, "never part of the program"},
		{"asynq in cmd", pkg{Path: "cmd/gistmill", Imports: []string{"github.com/hibiken/asynq"}}, "the queue is disposable"},
		{"go-openai elsewhere", pkg{Path: "internal/summarize", Imports: []string{"github.com/sashabaranov/go-openai/jsonschema"}}, "only internal/llm may"},
		{"kubernetes elsewhere", pkg{Path: "worker", Imports: []string{"k8s.io/client-go/rest"}}, "only internal/kube, keda, deploy, test may"},
		{"cgo", pkg{Path: "internal/extract", Imports: []string{"C"}}, "no package may"},
		{"a place that the design does not know", pkg{Path: "util"}, "has no place in the design"},
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

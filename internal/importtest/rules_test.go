package importtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const module = "github.com/gistmill/gistmill"

// pkg is one package of the module with its imports.
type pkg struct {
	Path    string   // relative to the module: "internal/llm"
	Imports []string // full paths
	Tests   []string // full paths, of its test files
}

// layer is a level of the design. A package imports only lower levels, and packages of its own
// level only where sideways allows it.
type layer struct {
	name     string
	height   int
	sideways bool
}

// layerOf returns a package's layer: cmd, then enqueuer, worker and keda, then internal, then
// tasks.
func layerOf(path string) (layer, bool) {
	first, _, _ := strings.Cut(path, "/")
	switch first {
	case "test":
		return layer{"test", 5, true}, true
	case "cmd", "deploy":
		return layer{"cmd", 4, true}, true
	case "enqueuer", "worker", "keda":
		return layer{first, 3, false}, true
	case "internal":
		return layer{"internal", 2, true}, true
	case "tasks":
		return layer{"tasks", 1, false}, true
	}
	return layer{}, false
}

// matrix lists what each package of internal may import of ours. Subpackages share their parent's
// row, and a package may import its own subpackages and parents. Tests are free to wire packages.
func matrix() map[string][]string {
	return map[string][]string{
		"internal/certificates": {},
		"internal/checks":       {"internal/text"},
		"internal/config":       {"internal/certificates", "internal/llm", "internal/text", "internal/usage"},
		"internal/console":      {"internal/text"},
		"internal/export":       {"internal/checks", "internal/ledger", "internal/marker", "internal/text"},
		"internal/extract":      {"internal/source", "internal/text"},
		"internal/extractive":   {"internal/text"},
		"internal/importtest":   {},
		"internal/ledger":       {"internal/text"},
		"internal/llm":          {"internal/certificates", "internal/text"},
		"internal/loop":         {},
		"internal/marker":       {},
		"internal/source":       {"internal/marker", "internal/text"},
		"internal/preflight":    {"internal/llm", "internal/summarize", "internal/text"},
		"internal/process":      {},
		"internal/progress":     {"internal/ledger", "internal/process"},
		"internal/recovery":     {"internal/ledger", "internal/loop", "internal/process", "internal/text", "tasks"},
		"internal/summarize":    {"internal/checks", "internal/extractive", "internal/llm", "internal/text"},
		"internal/telemetry":    {"internal/ledger", "internal/llm", "internal/text"},
		"internal/terminal":     {"internal/text"},
		"internal/text":         {},
		"internal/usage":        {"internal/text"},
	}
}

// row returns the row of an internal package or subpackage, by its path.
func row(path string) string {
	parts := strings.SplitN(path, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// owner lists the packages of ours that may import a dependency, and why no other.
type owner struct {
	prefixes []string
	allowed  []string // relative paths, subpackages included
	why      string
}

func owners() []owner {
	return []owner{
		{
			prefixes: []string{"github.com/hibiken/asynq"},
			allowed:  []string{"tasks", "worker", "internal/recovery", "test"},
			why:      "the ledger is the truth and the queue is disposable: a package without asynq cannot come to depend on the queue",
		},
		{
			prefixes: []string{"github.com/jackc/pgx", "github.com/jackc/pgconn", "modernc.org/sqlite"},
			allowed:  []string{"internal/ledger", "test"},
			why:      "SQL, drivers and their error codes have one place; use internal/ledger",
		},
		{
			prefixes: []string{"github.com/sashabaranov/go-openai"},
			allowed:  []string{"internal/llm"},
			why:      "error classes, limits and prices are decided in one place; use internal/llm",
		},
		{
			prefixes: []string{"k8s.io", "sigs.k8s.io", "github.com/kedacore"},
			allowed:  []string{"keda", "deploy", "test"},
			why:      "gistmill runs without a cluster, and a worker's binary needs no Kubernetes client",
		},
		{
			prefixes: []string{"C"},
			why:      "the program is one static file, which excludes cgo",
		},
	}
}

// violations returns all violations of the rules, one line each.
func violations(pkgs []pkg) []string {
	var found []string
	for _, p := range pkgs {
		from, ok := layerOf(p.Path)
		if !ok {
			found = append(found, fmt.Sprintf("%s: has no layer: put it under cmd, internal, deploy or test, or add it to layerOf", p.Path))
			continue
		}
		for _, imported := range p.Imports {
			found = append(found, breach(p.Path, from, imported, false)...)
		}
		for _, imported := range p.Tests {
			found = append(found, breach(p.Path, from, imported, true)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func breach(path string, from layer, imported string, inTest bool) []string {
	own, ours := strings.CutPrefix(imported, module+"/")
	if !ours {
		return ownership(path, imported)
	}
	to, ok := layerOf(own)
	if !ok || under(own, path) || under(path, own) {
		return nil // a package without a layer is reported once; own subpackages are free
	}
	switch {
	case to.name == "test":
		// Fake servers and document sets may be used by any test.
		if from.name == "test" || inTest {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s: packages under test are never part of the program", path, own)}
	case to.height > from.height:
		return []string{fmt.Sprintf("%s imports %s of a higher layer: cmd → enqueuer | worker | keda → internal → tasks; declare an interface, and let cmd wire the two", path, own)}
	case to.height == from.height && !from.sideways && !inTest:
		// A test may wire parts together, as cmd does.
		return []string{fmt.Sprintf("%s imports %s of the same layer: enqueuer, worker and keda do not import each other, so that each can run alone", path, own)}
	case from.name == "internal" && to.name == "tasks" && row(path) != "internal/recovery":
		return []string{fmt.Sprintf("%s imports tasks: of internal only recovery knows the queue; pass plain values", path)}
	case from.name == "internal" && !inTest:
		may, known := matrix()[row(path)]
		if !known {
			return []string{fmt.Sprintf("%s has no row in the matrix of this test: add what it may import", row(path))}
		}
		if !under(own, row(path)) && !slices.ContainsFunc(may, func(allowed string) bool { return under(own, allowed) }) {
			return []string{fmt.Sprintf("%s imports %s: the matrix allows it %s", path, own, cmp.Or(strings.Join(may, ", "), "nothing"))}
		}
	}
	return nil
}

func ownership(path, imported string) []string {
	var found []string
	for _, o := range owners() {
		matches := slices.ContainsFunc(o.prefixes, func(p string) bool { return under(imported, p) })
		allowed := slices.ContainsFunc(o.allowed, func(p string) bool { return under(path, p) })
		switch {
		case !matches || allowed:
		case len(o.allowed) == 0:
			found = append(found, fmt.Sprintf("%s imports %s, which no package may: %s", path, imported, o.why))
		default:
			found = append(found, fmt.Sprintf("%s imports %s, which only %s may: %s", path, imported, strings.Join(o.allowed, ", "), o.why))
		}
	}
	return found
}

// under reports whether path is root or a path below it.
func under(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

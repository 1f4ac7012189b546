package importtest

import (
	"fmt"
	"slices"
	"strings"
)

const module = "github.com/gistmill/gistmill"

// pkg is one package of the module with what it imports.
type pkg struct {
	Path    string   // relative to the module: "internal/llm"
	Imports []string // full paths
	Tests   []string // full paths, of its _test files
}

// layer is a height in the design: a package imports only lower ones, and of
// its own height only where sideways allows it.
type layer struct {
	name     string
	height   int
	sideways bool
}

// layerOf places a package. The heights are those of the design: cmd, then
// enqueuer, worker and keda, then internal/recovery, then internal, then tasks.
func layerOf(path string) (layer, bool) {
	first, _, _ := strings.Cut(path, "/")
	switch first {
	case "test":
		return layer{"test", 6, true}, true
	case "cmd", "deploy":
		return layer{"cmd", 5, true}, true
	case "enqueuer", "worker", "keda":
		return layer{first, 4, false}, true
	case "internal":
		if under(path, "internal/recovery") {
			return layer{"recovery", 3, false}, true
		}
		return layer{"internal", 2, true}, true
	case "tasks":
		return layer{"tasks", 1, false}, true
	}
	return layer{}, false
}

// owner says which of our packages may know a dependency, and why no other.
type owner struct {
	prefixes []string
	allowed  []string // relative paths, their subpackages included
	why      string
}

func owners() []owner {
	return []owner{
		{
			prefixes: []string{"github.com/hibiken/asynq"},
			allowed:  []string{"tasks", "enqueuer", "worker", "keda", "internal/recovery", "test"},
			why:      "the ledger is the truth and the queue is disposable: what knows no asynq cannot come to depend on it",
		},
		{
			prefixes: []string{"github.com/sashabaranov/go-openai"},
			allowed:  []string{"internal/llm"},
			why:      "error classes, limits and money are decided in one place; use internal/llm",
		},
		{
			prefixes: []string{"k8s.io", "sigs.k8s.io", "github.com/kedacore"},
			allowed:  []string{"internal/kube", "keda", "deploy", "test"},
			why:      "gistmill runs without a cluster, and a worker's binary needs no Kubernetes client",
		},
		{
			prefixes: []string{"C"},
			why:      "the program is one static file; cgo would end that",
		},
	}
}

// violations checks all packages and explains each breach in one line.
func violations(pkgs []pkg) []string {
	var found []string
	for _, p := range pkgs {
		from, ok := layerOf(p.Path)
		if !ok {
			found = append(found, fmt.Sprintf("%s: has no place in the design: put it under cmd, internal, deploy or test, or give it a layer in this test", p.Path))
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
		return nil // a place of its own is complained of where it stands; a package's own subpackages are its business
	}
	switch {
	case to.name == "test":
		// Fake servers and document sets may be used by any test.
		if from.name == "test" || inTest {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s: what lies under test is never part of the program", path, own)}
	case to.height > from.height:
		return []string{fmt.Sprintf("%s imports %s, which lies above it: cmd → enqueuer | worker | keda → tasks, internal; take what is needed as an interface, and let cmd wire the two", path, own)}
	case to.height == from.height && !from.sideways && !inTest: // a test may wire parts together, as cmd does
		return []string{fmt.Sprintf("%s imports %s beside it: enqueuer, worker and keda know each other only through tasks and the ledger, so that each can run alone", path, own)}
	case from.name == "internal" && to.name == "tasks":
		return []string{fmt.Sprintf("%s imports tasks: what lies in internal knows nothing of the queue; pass plain values", path)}
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

// under tells whether path is root or lies below it.
func under(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// results are the measurements, written to the file that GISTMILL_E2E_RESULTS names.
type results struct {
	mu   sync.Mutex
	rows [][3]string
}

var measured results

// result records a figure and its bound.
func result(what, value, want string) {
	measured.mu.Lock()
	defer measured.mu.Unlock()
	measured.rows = append(measured.rows, [3]string{what, value, want})
}

// write writes the table, if a file is named.
func (r *results) write() error {
	name := os.Getenv("GISTMILL_E2E_RESULTS")
	if name == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortStableFunc(r.rows, func(a, b [3]string) int { return cmp.Compare(a[0], b[0]) })
	var b strings.Builder
	fmt.Fprintf(&b, `# What was measured on the cluster

By %s on %s, %d processors, everything on one machine: Kubernetes, KEDA, Redis, PostgreSQL, the
endpoint and the tests. The tests fail where a figure is not what is wanted.

| what | measured | wanted |
|---|---|---|
`, "`make e2e GISTMILL_E2E_RESULTS=…`", time.Now().UTC().Format(time.DateOnly), runtime.NumCPU())
	for _, row := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row[0], row[1], row[2])
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

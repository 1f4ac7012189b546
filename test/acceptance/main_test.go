//go:build integration

// Package acceptance runs the real program as a user does, on one machine and with no server but the project's own fake
// endpoint, and looks at what a user sees: exit codes, both outputs, `status -o json`, and the endpoint's count of calls.
//
// It owns what the whole must show. It refuses to own what a package can show by itself, and what needs a real Redis or
// PostgreSQL.
package acceptance

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gistmill/gistmill/test/program"
)

// atOnce is how many tests run side by side: many of them wait for a lease or a deadline, not for the processor.
const atOnce = "4"

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(atOnce)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gistmill-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	binary = filepath.Join(dir, "gistmill")
	if err := program.Build(context.Background(), binary, "github.com/gistmill/gistmill/cmd/gistmill"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

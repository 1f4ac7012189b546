//go:build integration

// Package integration runs the pipeline as it is run in production: `enqueue` and `worker` as processes of their own over a
// real Redis and a real PostgreSQL, with the project's fake endpoint and an S3-compatible server in this process. It kills
// and stops whatever may die: workers, planners, Redis, connections.
//
// It owns what only several processes can show. It refuses to own what one process with its embedded parts shows
// (test/acceptance), and the methods of the ledger (its conformance suite).
package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/test/program"
)

// atOnce is how many tests run side by side: most of the time they wait for a lease to lapse.
const atOnce = "4"

// suite is what all tests share.
type suite struct {
	binary string // the program under test
	// hostile is the same with readers that fail (internal/corpus/detect_hostile.go); it is built when it is first asked for.
	hostile func() (string, error)
	redis   string // URL
	store   string // URL
}

var shared suite

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(atOnce)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	shared.redis, shared.store = os.Getenv("GISTMILL_TEST_REDIS"), os.Getenv("GISTMILL_TEST_POSTGRES")
	if shared.redis == "" || shared.store == "" {
		fmt.Fprintln(os.Stderr, "GISTMILL_TEST_REDIS and GISTMILL_TEST_POSTGRES are not set: `make services` starts both, `make integration` sets them")
		return 1
	}
	dir, err := os.MkdirTemp("", "gistmill-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	shared.binary = filepath.Join(dir, "gistmill")
	if err := program.Build(context.Background(), shared.binary, "github.com/gistmill/gistmill/cmd/gistmill"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared.hostile = sync.OnceValues(func() (string, error) {
		file := filepath.Join(dir, "gistmill-hostile")
		return file, program.Build(context.Background(), file, "github.com/gistmill/gistmill/cmd/gistmill", "-tags", "hostile")
	})
	return m.Run()
}

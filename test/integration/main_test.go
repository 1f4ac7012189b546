//go:build integration

// Package integration runs the pipeline as it is run in production: `enqueue` and `worker` as processes of their own over a
// real Redis and a real PostgreSQL, with the project's fake endpoint and an S3-compatible server in this process. It kills
// and stops whatever may die: workers, planners, Redis, connections.
//
// It owns what only several processes can show. It refuses to own what one process with its embedded parts shows
// (test/acceptance), and the methods of the ledger (its conformance suite).
package integration

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// suite is what all tests share.
type suite struct {
	binary string // the program under test
	// hostile is the same with readers that fail (internal/corpus/detect_hostile.go); it is built when it is first asked for.
	hostile func() (string, error)
	redis   string // URL
	store   string // URL
}

var shared suite

func TestMain(m *testing.M) { os.Exit(programtest.Main(m, shared.setUp)) }

// setUp builds the program and checks that the servers are named.
func (s *suite) setUp(dir string) (err error) {
	s.redis, s.store = os.Getenv("GISTMILL_TEST_REDIS"), os.Getenv("GISTMILL_TEST_POSTGRES")
	if s.redis == "" || s.store == "" {
		return errors.New("GISTMILL_TEST_REDIS and GISTMILL_TEST_POSTGRES are not set: start the servers with `make services` and run `make integration`, which sets both")
	}
	s.hostile = sync.OnceValues(func() (string, error) { return programtest.Build(dir, "gistmill-hostile", "-tags", "hostile") })
	s.binary, err = programtest.Build(dir, "gistmill")
	return err
}

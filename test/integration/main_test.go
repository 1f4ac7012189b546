//go:build integration

// Package integration runs the pipeline as in production: `enqueue` and `worker` are processes
// of their own over a real Redis and a real PostgreSQL. The project's fake endpoint and an
// S3-compatible server run in this process. The tests kill and stop workers, planners, Redis
// and connections.
//
// It owns the behaviour of several processes together. Behaviour of one process with its
// embedded parts is tested in test/acceptance, and the ledger's methods in its conformance
// suite.
package integration

import (
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// suite is shared by all tests.
type suite struct {
	binary string // the program under test
	// hostile builds the program with readers that fail (build tag hostile) on first use.
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

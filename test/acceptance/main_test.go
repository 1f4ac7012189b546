//go:build integration

// Package acceptance runs the real program as a user does, on one machine and with no server
// but the project's own fake endpoint. It checks what a user sees: exit codes, stdout and
// stderr, `status -o json`, and the endpoint's count of calls.
//
// It owns the behaviour of the whole program. Tests of one package are in that package; tests
// with a real Redis or PostgreSQL are in test/integration.
package acceptance

import (
	"os"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(programtest.Main(m, func(dir string) (err error) {
		binary, err = programtest.Build(dir, "gistmill")
		return err
	}))
}

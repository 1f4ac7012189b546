//go:build integration

// Package acceptance runs the real program as a user does, on one machine and with no server but the project's own fake
// endpoint, and looks at what a user sees: exit codes, both outputs, `status -o json`, and the endpoint's count of calls.
//
// It owns what the whole must show. It refuses to own what a package can show by itself, and what needs a real Redis or
// PostgreSQL.
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

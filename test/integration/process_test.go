//go:build integration

package integration

import (
	"context"
	"os/exec"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/test/program"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// background returns a context for actions after the test's own context has ended.
func background() context.Context { return context.Background() }

// start starts the program in the site's folder.
func (s *site) start(args ...string) *programtest.Process {
	s.t.Helper()
	return s.startBy([]string{shared.binary}, args...)
}

// startBy starts another build of the program, or the program through a wrapper.
func (s *site) startBy(by []string, args ...string) *programtest.Process {
	s.t.Helper()
	command := exec.Command(by[0], append(slices.Clone(by[1:]), args...)...)
	command.Dir = s.dir
	for name, value := range s.env {
		command.Env = append(command.Env, name+"="+value)
	}
	p := programtest.Start(s.t, patience, command, args)
	s.t.Cleanup(func() {
		if s.t.Failed() && args[0] == "worker" {
			s.t.Logf("gistmill %s printed:\n%s", strings.Join(args, " "), program.Tail(p.Stderr.String()))
		}
	})
	return p
}

// run runs the program until it exits.
func (s *site) run(args ...string) programtest.Result {
	s.t.Helper()
	return s.start(args...).Wait()
}

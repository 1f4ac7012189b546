//go:build unix

package keys

import (
	"context"
	"os/exec"
	"syscall"
)

// shellCommand returns a command line for the shell. Its processes have a group of their own, which
// ends as a whole. A Ctrl-C does not reach them: a terminal signals its foreground process group.
func shellCommand(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line) //nolint:gosec // the operator's own command, never from a file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

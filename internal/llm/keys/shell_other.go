//go:build !unix

package keys

import (
	"context"
	"os/exec"
)

// shellCommand returns a command line for the shell.
func shellCommand(ctx context.Context, line string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", line) //nolint:gosec // the operator's own command, never from a file
}

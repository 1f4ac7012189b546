package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/terminal"
	"github.com/gistmill/gistmill/internal/usage"
)

// The exit codes, as documented in docs/reference.md.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDead        = 3
	exitPlanning    = 4
	exitBudget      = 5
	exitInterrupted = 130
)

// exitError ends the program with an exit code and a message, which may be empty.
type exitError struct {
	code    int
	message string
}

func (e *exitError) Error() string { return e.message }

// usageError reports an invalid command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// cli holds the environment of a command.
type cli struct {
	args    []string // the command line, without the program's name
	environ []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  *terminal.Terminal
	stop    context.Context // ends at the first interrupt: finish calls in flight
	abort   context.Context // ends at the second interrupt: cancel calls in flight
	quiet   bool            // only warnings, errors and results are written
	drains  atomic.Bool     // the command finishes calls or requests after an interrupt
	// records takes messages if the log is JSON; nil: they are lines.
	records *slog.Logger
	// sentences is the handler of the log if that has sentences; nil: it has records.
	sentences *terminal.Handler
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, signals signals, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{args: args, environ: environ, stdin: stdin, stdout: stdout}
	c.stderr = terminal.New(stderr, c.getenv("TERM"))
	var release func()
	c.stop, c.abort, release = interrupts(ctx, signals, c.stderr.Interrupted)
	defer release()
	defer c.endAfterInterrupt(signals.exit)()
	root := c.root()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(c.stop)
	c.flush()
	if err == nil {
		return exitOK
	}
	return c.report(command, err)
}

// report prints an error and returns its exit code.
func (c *cli) report(command *cobra.Command, err error) int {
	code, lines := c.ending(command.CommandPath(), err)
	for _, line := range lines {
		c.fail("%s", line)
	}
	return code
}

// ending returns the exit code of an error of a command, and the lines that say why.
func (c *cli) ending(command string, err error) (code int, lines []string) {
	var exit *exitError
	var wrong *usageError
	var invalid *config.InvalidError
	switch {
	case errors.As(err, &exit):
		if exit.message == "" {
			return exit.code, nil
		}
		return exit.code, []string{exit.message}
	case errors.As(err, &invalid):
		return exitUsage, invalid.Problems
	case errors.As(err, &wrong):
		return exitUsage, []string{err.Error(), "see `" + command + " --help`"}
	case c.stop.Err() != nil: // the user knows why
		return exitInterrupted, nil
	case errors.Is(err, ledger.ErrPlanning):
		return exitPlanning, []string{err.Error() + "; use --wait to wait for it"}
	case ledger.IsFull(err):
		return exitFailed, []string{joinLines(err), "the disk of the ledger is full; free some space and run the same command again to continue"}
	}
	return exitFailed, []string{joinLines(err)}
}

// joinLines returns an error on one line, without repeated lines. Errors of some libraries have
// several.
func joinLines(err error) string {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(parts, line) {
			parts = append(parts, line)
		}
	}
	return strings.ReplaceAll(strings.Join(parts, "; "), ":;", ":")
}

// Groups of commands in the help text.
const (
	groupWork    = "work"
	groupInspect = "inspect"
	groupControl = "control"
)

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gistmill",
		Short: "Summarize large document collections with an LLM",
		Long: `Gistmill summarizes large document collections with an LLM, on one machine or on a Kubernetes cluster.
It works on new and changed documents, retries failures, and records every document, call and cent.

  gistmill run ./docs   summarize a folder; nothing else needs to be installed
  gistmill status       show the progress of the newest run
  gistmill dead list    show documents that could not be summarized, and why`,
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return command.Help()
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error { return &usageError{usage.FlagError(command, err)} })
	usage.Install(root)
	root.AddGroup(&cobra.Group{ID: groupWork, Title: "Summarize documents:"},
		&cobra.Group{ID: groupInspect, Title: "Inspect results:"},
		&cobra.Group{ID: groupControl, Title: "Control runs:"})
	for group, commands := range map[string][]*cobra.Command{
		groupWork:    {c.runCommand(), c.enqueueCommand(), c.workerCommand(), c.serverCommand()},
		groupInspect: {c.checkCommand(), c.statusCommand(), c.runsCommand(), c.showCommand(), c.exportCommand(), c.deadCommand()},
		groupControl: {c.pauseCommand(), c.resumeCommand(), c.cancelCommand(), c.pruneCommand(), c.migrateCommand()},
		"":           {c.configCommand(), c.versionCommand(), c.extractCommand()},
	} {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	root.PersistentFlags().BoolVarP(&c.quiet, "quiet", "q", false, "write only warnings, errors and results")
	usage.SetGroup(root.PersistentFlags(), usage.Output, "quiet")
	usageErrors(root)
	return root
}

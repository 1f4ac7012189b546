package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/text"
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

// exitError ends the program with a code; its message, if any, is shown.
type exitError struct {
	code    int
	message string
}

func (e *exitError) Error() string { return e.message }

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// cli is what a command has of the world.
type cli struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	stop           context.Context // ends at the first interrupt: finish what is in flight
	abort          context.Context // ends at the second: give it up
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &cli{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	var release func()
	c.stop, c.abort, release = interrupts(ctx, stderr)
	defer release()
	root := c.root()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(c.stop)
	if err == nil {
		return exitOK
	}
	return c.report(command, err)
}

// report shows an error and decides the exit code.
func (c *cli) report(command *cobra.Command, err error) int {
	var exit *exitError
	var usage *usageError
	var invalid *config.InvalidError
	switch {
	case errors.As(err, &exit):
		if exit.message != "" {
			c.say("%s", exit.message)
		}
		return exit.code
	case errors.As(err, &invalid):
		for _, problem := range invalid.Problems {
			c.say("%s", problem)
		}
		return exitUsage
	case errors.As(err, &usage):
		c.say("%v", err)
		c.say("`%s --help` says more", command.CommandPath())
		return exitUsage
	case c.stop.Err() != nil:
		c.say("interrupted; nothing is lost")
		return exitInterrupted
	case errors.Is(err, ledger.ErrPlanning):
		c.say("%v; --wait waits for it", err)
		return exitPlanning
	case ledger.IsFull(err):
		c.say("%s", oneLine(err))
		c.say("the disk that holds the ledger is full: make room, and the same command goes on with what is left")
		return exitFailed
	default:
		c.say("%s", oneLine(err))
		return exitFailed
	}
}

// oneLine joins the lines that some libraries' errors have, and leaves out what is said twice.
func oneLine(err error) string {
	var parts []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(parts, line) {
			parts = append(parts, line)
		}
	}
	return strings.ReplaceAll(strings.Join(parts, "; "), ":;", ":")
}

// say writes a line to stderr. What it tells of documents and of answers may have been made to be obeyed by a terminal.
func (c *cli) say(format string, args ...any) {
	fmt.Fprintln(c.stderr, "gistmill: "+text.TerminalSafe(fmt.Sprintf(format, args...)))
}

// groups of commands in the help text.
const (
	groupWork    = "work"
	groupWatch   = "watch"
	groupControl = "control"
)

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gistmill",
		Short: "Summarize large document collections, on one machine or on a cluster",
		Long: `Gistmill summarizes large document collections with an LLM: it lists a source, works on what is new or changed,
retries what fails, and keeps a record of every document, call and cent.

  gistmill run ./docs        summarizes a folder; nothing else needs to be installed
  gistmill status            says how far it is
  gistmill dead list         shows what could not be done, and why`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return command.Help()
		},
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddGroup(&cobra.Group{ID: groupWork, Title: "Do the work:"},
		&cobra.Group{ID: groupWatch, Title: "See what came of it:"},
		&cobra.Group{ID: groupControl, Title: "Steer it:"})
	for group, commands := range map[string][]*cobra.Command{
		groupWork:    {c.runCommand(), c.enqueueCommand(), c.workerCommand(), c.serverCommand()},
		groupWatch:   {c.statusCommand(), c.runsCommand(), c.showCommand(), c.exportCommand(), c.deadCommand()},
		groupControl: {c.pauseCommand(), c.resumeCommand(), c.cancelCommand(), c.pruneCommand()},
		"":           {c.configCommand(), c.versionCommand(), c.extractCommand()},
	} {
		for _, command := range commands {
			command.GroupID = group
			root.AddCommand(command)
		}
	}
	usageErrors(root)
	return root
}

// usageErrors makes every wrong argument a usage error, and an unknown subcommand too.
func usageErrors(command *cobra.Command) {
	args := command.Args
	if args == nil {
		args = cobra.NoArgs
	}
	command.Args = func(command *cobra.Command, given []string) error {
		if err := args(command, given); err != nil {
			if command.HasSubCommands() && len(given) > 0 {
				err = fmt.Errorf("there is no command %q%s", command.CommandPath()+" "+given[0], suggestion(command, given[0]))
			}
			return &usageError{err}
		}
		return nil
	}
	for _, sub := range command.Commands() {
		usageErrors(sub)
	}
}

func suggestion(command *cobra.Command, name string) string {
	command.SuggestionsMinimumDistance = 2
	if near := command.SuggestionsFor(name); len(near) > 0 {
		return ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// atLeastOneSource explains a missing argument.
func atLeastOneSource(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name a source: a folder, a file, a .jsonl file, a bucket URL, or - for standard input")
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/text"
	"github.com/gistmill/gistmill/internal/usage"
)

// needs is what a command needs before its action runs.
type needs int

const (
	needsSettings  needs = iota // the settings only: the action calls app.open, or needs no ledger
	readsLedger                 // the ledger, which exists, and nothing is written
	previewsLedger              // the same, or an empty ledger in memory if there is none
	needsLedger                 // the ledger, which exists
	readsQueue                  // the settings of ledger and queue: the action connects to them
	usesQueue                   // needsLedger, and the queue if --redis is set
	needsQueue                  // the ledger, which is made if there is none, and the queue
	embedsQueue                 // needsQueue with a queue that is embedded unless --redis is set
	makesLedger                 // the ledger, which is made if there is none
)

// access returns what a command may do to the ledger.
func (n needs) access() ledger.Access {
	switch n {
	case readsLedger, previewsLedger:
		return ledger.AccessRead
	case needsLedger, usesQueue:
		return ledger.AccessChange
	}
	return ledger.AccessCreate
}

// queue reports whether a command uses the queue. Some do only if --redis is set.
func (n needs) queue(redis string) bool {
	return n == needsQueue || n == embedsQueue || n == usesQueue && redis != ""
}

// action is what a command does. ctx ends at the first interrupt.
type action func(ctx context.Context, a *app, args []string) error

// command adds flags for the settings of the command with the given name, and makes the command run
// the action: it loads the settings, opens what the action needs, and closes it afterwards.
// required names the settings that must be set.
func (c *cli) command(name string, need needs, command *cobra.Command, do action, required ...string) *cobra.Command {
	settingFlags(command, name, need, required...)
	command.RunE = func(command *cobra.Command, args []string) error {
		return c.withApp(command, need, func(ctx context.Context, a *app) error { return do(ctx, a, args) }, required...)
	}
	return command
}

// settingFlags adds flags for the settings of the command with the given name. The help texts of
// commands that plan or work describe all of them. The others describe only those that people set
// there.
func settingFlags(command *cobra.Command, name string, need needs, required ...string) {
	flags := command.Flags()
	config.AddFlags(flags, config.ForCommand(name)...)
	usage.Require(flags, required...)
	if slices.Contains([]string{"run", "enqueue", "worker", "server", "config"}, name) {
		return
	}
	shown := []string{"store", "config"}
	if need == readsQueue || need == usesQueue {
		shown = append(shown, "redis")
	}
	usage.Brief(flags, []string{usage.Connection, usage.Output, usage.Advanced}, shown...)
}

// withApp loads the settings of a command whose flags are parsed, opens what is needed, and calls
// do.
func (c *cli) withApp(command *cobra.Command, need needs, do func(context.Context, *app) error, required ...string) error {
	c.drains.Store(slices.Contains([]string{"run", "worker", "server"}, command.Name()))
	a, err := c.load(command, required...)
	if err != nil {
		return err
	}
	defer a.close()
	if need != needsSettings && need != readsQueue {
		if err := a.open(command.Context(), need); err != nil {
			return err
		}
	}
	return do(command.Context(), a)
}

// load reads the settings of a command whose flags are parsed, and prints their warnings.
func (c *cli) load(command *cobra.Command, required ...string) (*app, error) {
	cfg, err := config.Load(command.Flags(), c.environ, required...)
	log := c.newLog(cfg, command.Name())
	for _, warning := range cfg.Warnings {
		c.say("warning: %s", warning)
	}
	if err != nil {
		return nil, err
	}
	a := &app{cli: c, config: cfg, log: log}
	if file := cfg.DefaultFile; file != "" {
		switch command.Name() {
		case "run", "enqueue":
			c.say("settings from %s", file)
		case "worker", "server":
			a.log.Info("settings from file", "file", file)
		default:
			a.log.Debug("settings from file", "file", file)
		}
	}
	return a, nil
}

// usageErrors turns invalid arguments and unknown subcommands into usage errors.
func usageErrors(command *cobra.Command) {
	args := command.Args
	if args == nil {
		args = noArgs
	}
	command.Args = func(command *cobra.Command, given []string) error {
		if err := args(command, given); err != nil {
			if command.HasAvailableSubCommands() && len(given) > 0 {
				err = fmt.Errorf("unknown command %q%s", command.CommandPath()+" "+given[0], suggestion(command, given[0]))
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
	var names []string
	for _, sub := range command.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return text.DidYouMean(name, names)
}

// The arguments of commands.

func noArgs(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is too much: %q takes no arguments; the value of a flag may need an equals sign (--flag=value)", text.CutRunes(args[0], 80), command.CommandPath())
	}
	return nil
}

func oneArgOrNone(command *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%q is too much: %q takes at most one argument", text.CutRunes(args[1], 80), command.CommandPath())
	}
	return nil
}

func sourceArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name a source: a folder, a file, a .jsonl file, a bucket URL, or - for standard input")
	}
	return nil
}

// runArg requires the name of a run. Commands that change a run do not guess which one is meant.
func runArg(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one run; `gistmill runs` lists them")
	}
	return nil
}

func documentArg(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one document: its URI, its path, or the URL of its source, a slash and its URI")
	}
	return nil
}

func destinationArg(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one destination: a file, a folder, or - for standard output")
	}
	return nil
}

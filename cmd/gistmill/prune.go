package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger"
)

func (c *cli) pruneCommand() *cobra.Command {
	var output outputFlag
	var olderThan string
	var dryRun bool
	command := &cobra.Command{
		Use:   "prune --older-than AGE",
		Short: "Delete old runs and call records",
		Long: `Prune deletes from the ledger the runs that ended longer ago than the given age, with their records of calls, and stored answers, events and
workers as old as that. Summaries, documents, dead letters and the newest run of each source and profile stay: a later run
still finds what is done.

  gistmill prune --older-than 30d
  gistmill prune --older-than 720h --dry-run -o json`,
		Args: cobra.NoArgs,
	}
	load := c.settings(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if olderThan == "" {
			return &usageError{errors.New("say how old: --older-than 30d")}
		}
		age, err := parseAge(olderThan)
		if err != nil {
			return &usageError{fmt.Errorf("--older-than: %w", err)}
		}
		a, err := load()
		if err != nil {
			return err
		}
		defer a.close()
		if err := a.open(command.Context(), queueNone); err != nil {
			return err
		}
		prune, verb := a.ledger.Prune, "deleted"
		if dryRun {
			prune, verb = a.ledger.Prunable, "would delete"
		}
		p, err := prune(command.Context(), age)
		if err != nil {
			return err
		}
		return output.write(c.stdout, p, func() error {
			_, err := fmt.Fprintln(c.stdout, verb, describePruned(p))
			return err
		})
	}
	command.Flags().StringVar(&olderThan, "older-than", "", "`age`, for example 30d or 36h")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "only say how much it would be")
	output.add(command)
	return command
}

func describePruned(p ledger.Pruned) string {
	return fmt.Sprintf("%s (with %s), %s, %s, %s, %s", count(p.Runs, "run"), count(p.Documents, "row"), count(p.Calls, "call record"),
		count(p.Answers, "stored answer"), count(p.Events, "event"), count(p.Workers, "worker"))
}

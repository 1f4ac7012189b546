package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger"
)

func (c *cli) pruneCommand() *cobra.Command {
	var output outputFlag
	var olderThan string
	var age time.Duration
	var dryRun, yes bool
	command := c.command("prune", needsSettings, &cobra.Command{
		Use:   "prune --older-than AGE",
		Short: "Delete old runs and call records",
		Long: `Prune deletes from the ledger the runs that ended longer ago than the given age, with their call
records, and stored answers, events and workers older than that. It keeps summaries, documents,
dead letters, and the newest run of each source and profile, so later runs still skip unchanged
documents. On a terminal it asks.

  gistmill prune --older-than 30d
  gistmill prune --older-than 720h --dry-run -o json`,
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) (err error) {
			if olderThan == "" {
				return &usageError{errors.New("--older-than is required; example: --older-than 30d")}
			}
			if age, err = parseAge(olderThan); err != nil {
				return &usageError{fmt.Errorf("--older-than: %w", err)}
			}
			return nil
		},
	}, func(ctx context.Context, a *app, _ []string) error {
		need := needsLedger
		if dryRun {
			need = readsLedger
		}
		if err := a.open(ctx, need); err != nil {
			return err
		}
		prune, verb := a.ledger.Prune, "deleted"
		if dryRun {
			prune, verb = a.ledger.Prunable, "would delete"
		}
		if !dryRun && !yes && c.canAsk() {
			p, err := a.ledger.Prunable(ctx, age)
			if err != nil {
				return err
			}
			if p != (ledger.Pruned{}) {
				if err := c.confirmed("Delete "+describePruned(p)+"?", "nothing was deleted"); err != nil {
					return err
				}
			}
		}
		p, err := prune(ctx, age)
		if err != nil {
			return err
		}
		return output.write(c.stdout, p, func() error {
			_, err := fmt.Fprintln(c.stdout, verb, describePruned(p))
			return err
		})
	})
	command.Flags().StringVar(&olderThan, "older-than", "", "minimum `age`, such as 30d or 36h")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be deleted, and delete nothing")
	addYesFlag(command, &yes, "")
	output.add(command)
	return command
}

// migrateCommand makes or updates the tables of the ledger. Where programs have a role that may not
// change tables, their owner runs it.
func (c *cli) migrateCommand() *cobra.Command {
	var output outputFlag
	command := c.command("migrate", makesLedger, &cobra.Command{
		Use:   "migrate",
		Short: "Create or update the tables of the ledger",
		Long: `Migrate creates the ledger's tables, or brings those of an older version up to date. "gistmill run",
"enqueue", "worker" and "server" do the same when they start. Run it once as the role that owns the tables
if the role of these commands may not change them. Commands that only read never change a ledger.

  gistmill migrate --store postgres://gistmill_owner@db.example/gistmill`,
		Args: noArgs,
	}, func(_ context.Context, a *app, _ []string) error {
		view := map[string]any{"ledger": a.ledger.Place(), "created": a.ledger.Created()}
		return output.write(c.stdout, view, func() error {
			_, err := fmt.Fprintf(c.stdout, "the ledger at %s is up to date\n", a.ledger.Place())
			return err
		})
	})
	output.add(command)
	return command
}

func describePruned(p ledger.Pruned) string {
	return fmt.Sprintf("%s (with %s), %s, %s, %s, %s", count(p.Runs, "run"), count(p.Documents, "row"), count(p.Calls, "call record"),
		count(p.Answers, "stored answer"), count(p.Events, "event"), count(p.Workers, "worker"))
}

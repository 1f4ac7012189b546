package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/enqueuer"
)

func (c *cli) enqueueCommand() *cobra.Command {
	var sources sourceFlags
	var force, wait, dryRun bool
	var output outputFlag
	command := &cobra.Command{
		Use:   "enqueue SOURCE...",
		Short: "Plan sources and enqueue new and changed documents",
		Long: `Enqueue lists each source, compares it with the ledger, and puts a task for each partition of new
and changed documents into the queue, where workers take them. It continues an unfinished run of the
same source and profile.

  gistmill enqueue s3://bucket/reports
  gistmill enqueue ./docs --dry-run`,
		Args: sourceArgs,
	}
	settingFlags(command, "enqueue", needsQueue, "redis")
	command.RunE = func(command *cobra.Command, args []string) error {
		if dryRun { // without Redis
			return c.withApp(command, needsLedger, func(ctx context.Context, a *app) error {
				return a.dryRun(ctx, args, &sources, force, output)
			})
		}
		return c.withApp(command, needsSettings, func(ctx context.Context, a *app) error {
			return a.enqueue(ctx, args, &sources, planOptions{force: force, wait: wait}, output)
		}, "redis")
	}
	sources.add(command)
	addPlanFlags(command, &force, &wait)
	command.Flags().BoolVar(&dryRun, "dry-run", false, "print the number of documents, tokens and US dollars, and write and call nothing")
	output.add(command)
	return command
}

// enqueue plans the sources and enqueues their runs.
func (a *app) enqueue(ctx context.Context, args []string, sources *sourceFlags, o planOptions, output outputFlag) error {
	if slices.Contains(args, "-") {
		return &usageError{errors.New("enqueue cannot take standard input, because workers cannot read it: write it to a file or bucket that they can read, or use `gistmill run -`")}
	}
	if err := a.checkBudget(); err != nil {
		return err
	}
	given, err := sources.check(ctx, a, args)
	if err != nil {
		return err
	}
	if err := a.open(ctx, needsQueue); err != nil {
		return err
	}
	if _, err := a.recovery.Reconcile(ctx); err != nil {
		return err
	}
	if err := sources.checkMatches(ctx, a); err != nil {
		return err
	}
	all, err := a.prepare(ctx, given, sources, o)
	if err != nil {
		return err
	}
	if _, err := a.estimatePlans(ctx, all); err != nil {
		return a.refuse(all, err)
	}
	if err := a.publish(all); err != nil {
		return err
	}
	rows := make([]*enqueuer.Plan, len(all))
	for i, p := range all {
		rows[i] = p.Plan
	}
	return output.write(a.stdout, planRows(rows), func() error {
		for _, p := range all {
			fmt.Fprintln(a.stdout, describePlan(p.Plan))
		}
		return nil
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/summarize"
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
same source and profile. It is the confirmation of what it enqueues: it prints model, endpoint and
estimate, and does not ask.

  gistmill enqueue s3://bucket/reports
  gistmill enqueue ./docs --dry-run`,
		Args: sourceArgs,
	}
	settingFlags(command, "enqueue", needsQueue, "redis")
	command.RunE = func(command *cobra.Command, args []string) error {
		if dryRun { // without Redis
			return c.withApp(command, previewsLedger, func(ctx context.Context, a *app) error {
				a.progress = a.listingProgress()
				return a.dryRun(ctx, args, &sources, force, output)
			})
		}
		return c.withApp(command, needsSettings, func(ctx context.Context, a *app) error {
			a.progress = a.listingProgress()
			return a.enqueue(ctx, args, &sources, planOptions{force: force, wait: wait}, output)
		}, "redis")
	}
	sources.add(command)
	addPlanFlags(command, &force, &wait)
	addDryRunFlag(command, &dryRun)
	output.add(command)
	return command
}

// checkModelNamed refuses to plan for the built-in engine only because no model, key or base URL is
// set: often the workers alone have them.
func (a *app) checkModelNamed() error {
	if a.config.IsSet("model") || a.config.Model != summarize.Extractive {
		return nil
	}
	return &usageError{errors.New("no model, API key or base URL is set here, so this would plan for the built-in engine: " +
		"add --model and the model that the workers call, or --model extractive for the built-in engine")}
}

// enqueue plans the sources and enqueues their runs.
func (a *app) enqueue(ctx context.Context, args []string, flags *sourceFlags, o planOptions, output outputFlag) error {
	if slices.Contains(args, "-") {
		return &usageError{errors.New("enqueue cannot take standard input, because workers cannot read it: write it to a file or bucket that they can read, or use `gistmill run -`")}
	}
	if err := a.checkBudget(); err != nil {
		return err
	}
	if err := a.checkService(); err != nil {
		return err
	}
	sources, err := flags.check(ctx, a, args)
	if err != nil {
		return err
	}
	if err := a.checkModelNamed(); err != nil {
		return err
	}
	if err := checkMatches(ctx, a, sources); err != nil {
		return err
	}
	if err := a.open(ctx, needsQueue); err != nil {
		return err
	}
	if _, err := a.recovery.Reconcile(ctx); err != nil {
		return err
	}
	if err := checkMatches(ctx, a, sources); err != nil {
		return err
	}
	all, err := a.prepare(ctx, sources, flags, o)
	if err != nil {
		return err
	}
	// The command is the confirmation. It says what it confirms.
	if _, err := a.estimatePlans(ctx, all, enqueueSample); err != nil {
		return a.refuse(all, err)
	}
	for _, p := range all {
		if p.profile.Model == summarize.Extractive || p.Remaining == 0 {
			a.say("%s%s", sourceOf(p, all), a.describeEstimate(p.estimate, p.profile.Model))
		}
	}
	if err := a.publish(all); err != nil {
		return err
	}
	rows := make([]planRow, len(all))
	for i, p := range all {
		rows[i] = a.planRow(p)
	}
	return output.write(a.stdout, rows, func() error {
		for _, p := range all {
			fmt.Fprintln(a.stdout, describePlan(p.Plan))
		}
		return nil
	})
}

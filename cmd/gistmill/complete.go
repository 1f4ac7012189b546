package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// completedRuns is the number of runs that completion offers.
const completedRuns = 20

// completeFlag completes the values of a flag.
func completeFlag(command *cobra.Command, flag string, values cobra.CompletionFunc) {
	_ = command.RegisterFlagCompletionFunc(flag, values) // fails only for a flag that does not exist
}

// fixed completes from constant values.
func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// fromLedger completes from values in the ledger.
func (c *cli) fromLedger(values func(context.Context, *ledger.Ledger) ([]string, error)) cobra.CompletionFunc {
	return func(command *cobra.Command, _ []string, _ string) (found []string, _ cobra.ShellCompDirective) {
		err := c.withApp(command, readsLedger, func(ctx context.Context, a *app) (err error) {
			found, err = values(ctx, a.ledger)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// runNames completes a flag with names of runs.
func (c *cli) runNames() cobra.CompletionFunc {
	return c.fromLedger(func(ctx context.Context, l *ledger.Ledger) ([]string, error) {
		runs, err := l.Runs(ctx, completedRuns)
		names := make([]string, len(runs))
		for i, run := range runs {
			names[i] = run.Name + "\t" + string(run.State) + " " + run.Source
		}
		return names, err
	})
}

// completeRun completes the only argument of a command with names of runs.
func (c *cli) completeRun(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.runNames()(command, args, typed)
}

// pairValues completes from the pairs of source and profile in the ledger.
func (c *cli) pairValues(of func(report.SourceProfile) string) cobra.CompletionFunc {
	return c.fromLedger(func(ctx context.Context, l *ledger.Ledger) ([]string, error) {
		pairs, err := report.New(l).SourceProfiles(ctx)
		values := make([]string, len(pairs))
		for i, p := range pairs {
			values[i] = of(p)
		}
		slices.Sort(values)
		return slices.Compact(values), err
	})
}

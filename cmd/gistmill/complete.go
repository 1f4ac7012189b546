package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger/report"
)

// completeFlag offers values of a flag to the shell.
func completeFlag(command *cobra.Command, flag string, values cobra.CompletionFunc) {
	_ = command.RegisterFlagCompletionFunc(flag, values) // fails only for a flag that does not exist
}

// fixed are values that are known beforehand.
func fixed(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

// runNames are completeRuns for a flag, whatever arguments there are.
func (c *cli) runNames(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return c.completeRuns(command, nil, typed)
}

// pairValues are what the ledger's sources and profiles have of something.
func (c *cli) pairValues(of func(report.SourceProfile) string) cobra.CompletionFunc {
	return func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		a, err := c.settingsOf(command)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer a.close()
		if err := a.open(command.Context(), queueNone); err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		pairs, err := report.New(a.ledger).SourceProfiles(command.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		values := make([]string, len(pairs))
		for i, p := range pairs {
			values[i] = of(p)
		}
		slices.Sort(values)
		return slices.Compact(values), cobra.ShellCompDirectiveNoFileComp
	}
}

package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) configCommand() *cobra.Command {
	var output outputFlag
	command := c.command("config", needsSettings, &cobra.Command{
		Use:   "config",
		Short: "Show all settings with their values and origins",
		Args:  cobra.NoArgs,
	}, func(_ context.Context, a *app, _ []string) error {
		entries := a.config.Explain()
		return output.write(c.stdout, entries, func() error {
			rows := [][]string{{"SETTING", "VALUE", "FROM"}}
			for _, e := range entries {
				rows = append(rows, []string{e.Setting, e.Value, e.Origin})
			}
			return table(c.stdout, rows...)
		})
	})
	output.add(command)
	return command
}

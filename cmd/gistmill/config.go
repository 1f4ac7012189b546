package main

import (
	"github.com/spf13/cobra"
)

func (c *cli) configCommand() *cobra.Command {
	var output outputFlag
	command := &cobra.Command{
		Use:   "config",
		Short: "Show the settings in force, and where each came from",
		Args:  cobra.NoArgs,
	}
	load := c.settings(command)
	command.RunE = func(*cobra.Command, []string) error {
		a, err := load()
		if err != nil {
			return err
		}
		entries := a.config.Explain()
		return output.write(c.stdout, entries, func() error {
			rows := [][]string{{"SETTING", "VALUE", "FROM"}}
			for _, e := range entries {
				rows = append(rows, []string{e.Setting, e.Value, e.Origin})
			}
			return table(c.stdout, rows...)
		})
	}
	output.add(command)
	return command
}

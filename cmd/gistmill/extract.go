package main

import (
	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/extract"
)

// extractCommand is the child process in which a worker reads a suspect.
func (c *cli) extractCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "extract",
		Short:  "Read one document from standard input (for workers)",
		Hidden: true,
		Args:   noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return extract.Serve(command.Context(), c.stdin, c.stdout)
		},
	}
}

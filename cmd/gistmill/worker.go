package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/extract"
)

// defaultIdleExit is the value of --exit-when-idle without a time.
const defaultIdleExit = 10 * time.Second

func (c *cli) workerCommand() *cobra.Command {
	var idleExit time.Duration
	command := c.command("worker", needsSettings, &cobra.Command{
		Use:   "worker",
		Short: "Work on the partitions in the queue",
		Long: `A worker takes partitions from the queue and summarizes their documents. It runs until it is stopped
or, with --exit-when-idle, until it has no work.

After SIGTERM it drains: it starts no new documents, completes the calls in flight within
--shutdown-grace, and releases the other documents. A second signal cancels the calls.

  gistmill worker
  gistmill worker --exit-when-idle 30s`,
		Args: noArgs,
	}, func(ctx context.Context, a *app, _ []string) error {
		if _, err := a.prices(); err != nil {
			return err
		}
		if err := a.open(ctx, needsQueue); err != nil {
			return unlessStopped(ctx, err)
		}
		if a.config.Deadline > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, a.config.Deadline)
			defer cancel()
		}
		return a.workAndServe(ctx, c.abort, idleExit)
	}, "redis")
	command.Flags().DurationVar(&idleExit, "exit-when-idle", 0, "exit after this `time` without work")
	command.Flags().Lookup("exit-when-idle").NoOptDefVal = defaultIdleExit.String()
	return command
}

// unlessStopped returns nil instead of err if the process was stopped. A worker or server that is
// stopped while it still connects has nothing to release, so that is a clean exit.
func unlessStopped(stop context.Context, err error) error {
	select {
	case <-stop.Done():
		return nil
	default:
		return err
	}
}

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

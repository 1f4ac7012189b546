package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// defaultIdle is what --exit-when-idle means without a time.
const defaultIdle = 10 * time.Second

func (c *cli) workerCommand() *cobra.Command {
	var idle time.Duration
	command := &cobra.Command{
		Use:   "worker",
		Short: "Work on what is in the queue",
		Long: `A worker takes partitions from the queue and summarizes their documents, until it is stopped or, with --exit-when-idle, there
is nothing left to do. After SIGTERM it begins nothing new, finishes the calls in flight within --shutdown-grace and hands
back the rest; a second signal gives the calls up at once.`,
		Args: cobra.NoArgs,
	}
	load := c.settings(command, "redis")
	command.RunE = func(*cobra.Command, []string) error {
		a, err := load()
		if err != nil {
			return err
		}
		defer a.close()
		if err := a.open(c.stop, queueRequired); err != nil {
			return unlessStopped(c.stop, err)
		}
		stop := c.stop
		if a.config.Deadline > 0 {
			var cancel context.CancelFunc
			stop, cancel = context.WithTimeout(stop, a.config.Deadline)
			defer cancel()
		}
		return a.watched(stop, c.abort, idle)
	}
	command.Flags().DurationVar(&idle, "exit-when-idle", 0, "end when there was nothing to do for this `time`")
	command.Flags().Lookup("exit-when-idle").NoOptDefVal = defaultIdle.String()
	return command
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger"
)

func (c *cli) runsCommand() *cobra.Command {
	var output outputFlag
	var limit int
	command := c.command("runs", needsLedger, &cobra.Command{
		Use:   "runs",
		Short: "List runs, newest first",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, a *app, _ []string) error {
		runs, err := a.ledger.Runs(ctx, limit)
		if err != nil {
			return err
		}
		views := make([]statusView, 0, len(runs))
		for _, run := range runs {
			v, err := a.status(ctx, run)
			if err != nil {
				return err
			}
			views = append(views, v)
		}
		return output.write(c.stdout, views, func() error { return table(c.stdout, runRows(views)...) })
	})
	command.Flags().IntVar(&limit, "limit", 0, "list only the newest `N`")
	output.add(command)
	return command
}

func runRows(views []statusView) [][]string {
	rows := [][]string{{"RUN", "STATE", "TOTAL", "DONE", "DEAD", "UNCHANGED", "TO DO", "COST", "BEGUN", "MODEL", "SOURCE"}}
	for _, v := range views {
		state := string(v.State)
		if v.Reason != nil {
			state += ":" + string(*v.Reason)
		}
		d := v.Documents
		rows = append(rows, []string{
			v.Run, state, number(d.Total), number(d.Done), number(d.Dead), number(d.Skipped), number(d.Remaining),
			usd(v.costNano), when(v.Created), v.Model, v.Source,
		})
	}
	return rows
}

func (c *cli) pauseCommand() *cobra.Command {
	return c.stopCommand(&cobra.Command{
		Use:   "pause RUN",
		Short: "Stop a run until it is resumed",
		Long: `Workers start no new documents of the run, and its tasks leave the queue. Calls in flight complete
and are kept. The run continues with "gistmill resume RUN", or with the next run or enqueue of the
same source and profile.`,
	}, ledger.Paused, "paused by hand")
}

func (c *cli) cancelCommand() *cobra.Command {
	return c.stopCommand(&cobra.Command{
		Use:   "cancel RUN",
		Short: "End a run permanently",
		Long: `Finished documents keep their summaries, and the run works on no others. The next run or enqueue of
the same source and profile starts a new run with the remaining documents.`,
	}, ledger.Cancelled, "cancelled by hand")
}

// stopCommand is a command that stops a run.
func (c *cli) stopCommand(command *cobra.Command, reason ledger.Reason, message string) *cobra.Command {
	command.Args, command.ValidArgsFunction = runArg, c.completeRun
	return c.command(command.Name(), usesQueue, command, func(ctx context.Context, a *app, args []string) error {
		run, err := a.ledger.Run(ctx, args[0])
		if err != nil {
			return err
		}
		if err := a.stopRun(ctx, run, reason, message); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.stdout, "run %s is %s\n", run.Name, reason)
		return err
	})
}

func (a *app) stopRun(ctx context.Context, run ledger.Run, reason ledger.Reason, message string) error {
	stopped, err := a.ledger.Stop(ctx, run.ID, reason, message)
	if err != nil {
		return err
	}
	if !stopped {
		state := string(run.State)
		if run.Reason != "" {
			state += " (" + string(run.Reason) + ")"
		}
		return fmt.Errorf("run %s is %s: there is nothing to stop", run.Name, state)
	}
	if a.queue == nil {
		return nil
	}
	if err := a.recovery.Withdraw(ctx, run); err != nil {
		return fmt.Errorf("run %s is %s, but its tasks are still in the queue (workers will drop them): %w", run.Name, reason, err)
	}
	return nil
}

func (c *cli) resumeCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "resume RUN",
		Short: "Continue a stopped run, optionally with a higher budget",
		Long: `Resume puts the run's partitions back into the queue if --redis is set. Otherwise "gistmill run" with
the same source continues them.

  gistmill resume 20260131-k7m2qd --budget-usd 20`,
		Args:              runArg,
		ValidArgsFunction: c.completeRun,
	}
	return c.command("resume", usesQueue, command, func(ctx context.Context, a *app, args []string) error {
		run, err := a.ledger.Run(ctx, args[0])
		if err != nil {
			return err
		}
		// Flags only: a budget in the environment is for new runs.
		var usd, tokens *int64
		if command.Flags().Changed("budget-usd") {
			usd = budgetNano(a.config.BudgetUSD)
		}
		if command.Flags().Changed("budget-tokens") {
			tokens = positive(a.config.BudgetTokens)
		}
		result, err := a.resume(ctx, run, usd, tokens)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.stdout, result)
		return err
	})
}

// resume resumes a run and returns a message for people.
func (a *app) resume(ctx context.Context, run ledger.Run, budgetNano, budgetTokens *int64) (string, error) {
	err := a.ledger.Resume(ctx, run.ID, budgetNano, budgetTokens)
	switch {
	case errors.Is(err, ledger.ErrState) && run.Reason == ledger.Cancelled:
		return "", fmt.Errorf("run %s is cancelled and cannot be resumed: start a new run of its source with `gistmill run` or `gistmill enqueue`", run.Name)
	case errors.Is(err, ledger.ErrState):
		return "", fmt.Errorf("run %s is %s and cannot be resumed: only a stopped run can, and only if no newer run of its source and profile is open", run.Name, run.State)
	case err != nil:
		return "", err
	}
	if run, err = a.ledger.RunByID(ctx, run.ID); err != nil {
		return "", err
	}
	message := fmt.Sprintf("run %s is %s", run.Name, run.State)
	if a.queue == nil {
		return message + "; --redis is not set, so continue it with `gistmill run` or `gistmill enqueue` and its source", nil
	}
	n, err := a.recovery.EnqueueMissing(ctx, run, true)
	return fmt.Sprintf("%s, %s enqueued", message, count(int64(n), "task")), err
}

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
	command := &cobra.Command{Use: "runs", Short: "List runs, the newest first", Args: cobra.NoArgs}
	load := c.settings(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		ctx := command.Context()
		a, err := load()
		if err != nil {
			return err
		}
		defer a.close()
		if err := a.open(ctx, queueNone); err != nil {
			return err
		}
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
		return output.write(c.stdout, views, func() error {
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
			return table(c.stdout, rows...)
		})
	}
	command.Flags().IntVar(&limit, "limit", 0, "only the newest `N`")
	output.add(command)
	return command
}

// completeRuns offers the names of runs to the shell.
func (c *cli) completeRuns(command *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	a, err := c.settingsOf(command)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer a.close()
	if err := a.open(command.Context(), queueNone); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	runs, err := a.ledger.Runs(command.Context(), 20)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, run := range runs {
		names = append(names, run.Name+"\t"+string(run.State)+" "+run.Source)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// oneRun is the argument of commands that change a run: none of them guesses which.
func oneRun(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one run; `gistmill runs` lists them")
	}
	return nil
}

// steer is a command that changes one run.
func (c *cli) steer(use, short, long string, change func(ctx context.Context, a *app, run ledger.Run) (string, error)) *cobra.Command {
	command := &cobra.Command{Use: use + " RUN", Short: short, Long: long, Args: oneRun, ValidArgsFunction: c.completeRuns}
	load := c.settings(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		ctx := command.Context()
		a, err := load()
		if err != nil {
			return err
		}
		defer a.close()
		if err := a.open(ctx, queueOptional); err != nil {
			return err
		}
		run, err := a.ledger.Run(ctx, args[0])
		if err != nil {
			return err
		}
		said, err := change(ctx, a, run)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.stdout, said)
		return err
	}
	return command
}

func (c *cli) pauseCommand() *cobra.Command {
	return c.steer("pause", "Stop a run until it is resumed",
		`Workers begin no new document of the run, and its tasks leave the queue; calls in flight end and are kept. It goes on with
"gistmill resume RUN", or with the next run or enqueue of the same source and profile.`,
		func(ctx context.Context, a *app, run ledger.Run) (string, error) {
			return a.stopRun(ctx, run, ledger.Paused, "paused by hand")
		})
}

func (c *cli) cancelCommand() *cobra.Command {
	return c.steer("cancel", "End a run for good",
		`What is done stays done; the rest is not worked on under this run. The next run or enqueue of the same source and profile begins a new
run with it.`,
		func(ctx context.Context, a *app, run ledger.Run) (string, error) {
			return a.stopRun(ctx, run, ledger.Cancelled, "cancelled by hand")
		})
}

func (a *app) stopRun(ctx context.Context, run ledger.Run, reason ledger.Reason, message string) (string, error) {
	stopped, err := a.ledger.Stop(ctx, run.ID, reason, message)
	if err != nil {
		return "", err
	}
	if !stopped {
		state := string(run.State)
		if run.Reason != "" {
			state += " (" + string(run.Reason) + ")"
		}
		return "", fmt.Errorf("run %s is %s: there is nothing to stop", run.Name, state)
	}
	if a.queue != nil {
		if err := a.recovery.Withdraw(ctx, run); err != nil {
			return "", fmt.Errorf("run %s is %s, but its tasks are still in the queue (workers drop them): %w", run.Name, reason, err)
		}
	}
	return fmt.Sprintf("run %s is %s", run.Name, reason), nil
}

func (c *cli) resumeCommand() *cobra.Command {
	var command *cobra.Command
	command = c.steer("resume", "Let a stopped run go on, with a higher budget if given",
		`The run's partitions are put back into the queue, if --redis is set; else "gistmill run" with the same source goes on with them.`,
		func(ctx context.Context, a *app, run ledger.Run) (string, error) {
			// Only what this command line says: a budget in the environment is for new runs.
			var usd, tokens *int64
			if command.Flags().Changed("budget-usd") {
				usd = budgetNano(a.config.BudgetUSD)
			}
			if command.Flags().Changed("budget-tokens") {
				tokens = positive(a.config.BudgetTokens)
			}
			if err := a.ledger.Resume(ctx, run.ID, usd, tokens); err != nil {
				if errors.Is(err, ledger.ErrState) && run.Reason == ledger.Cancelled {
					return "", fmt.Errorf("run %s is cancelled, which ends it for good: `gistmill run` or `gistmill enqueue` with its source begins a new one", run.Name)
				}
				if errors.Is(err, ledger.ErrState) {
					return "", fmt.Errorf("run %s is %s and can't be resumed: only a stopped run can, and only while no newer one of its source and profile is open", run.Name, run.State)
				}
				return "", err
			}
			run, err := a.ledger.RunByID(ctx, run.ID)
			if err != nil {
				return "", err
			}
			said := fmt.Sprintf("run %s is %s", run.Name, run.State)
			if a.queue == nil {
				return said + "; no --redis is given, so `gistmill run` or `gistmill enqueue` with its source goes on with it", nil
			}
			n, err := a.recovery.EnqueueMissing(ctx, run, true)
			return fmt.Sprintf("%s, %s enqueued", said, count(int64(n), "task")), err
		})
	return command
}

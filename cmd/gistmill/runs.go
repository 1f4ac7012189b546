package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger"
	runprogress "github.com/gistmill/gistmill/internal/progress"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

func (c *cli) runsCommand() *cobra.Command {
	var output outputFlag
	var limit int
	command := c.command("runs", readsLedger, &cobra.Command{
		Use:   "runs",
		Short: "List runs, newest first",
		Long: `Runs lists the runs of the ledger. On a terminal it leaves out columns that do not fit; -o wide prints
all of them.

  gistmill runs --limit 10`,
		Args: noArgs,
		PreRunE: func(*cobra.Command, []string) error {
			if limit < 0 {
				return &usageError{fmt.Errorf("--limit is %d, but must not be negative", limit)}
			}
			return nil
		},
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
		return output.write(c.stdout, views, func() error {
			if len(views) == 0 {
				c.say("no runs yet in %s", a.ledger.Place())
				return nil
			}
			width := output.width(c.stdout)
			return table(c.stdout, fitColumns(runRows(views, width > 0), width, "UNCHANGED", "BEGUN ("+zone()+")", "TOTAL", "MODEL", "COST", "DONE", "TO DO", "DEAD", "STATE")...)
		})
	})
	command.Flags().IntVar(&limit, "limit", 0, "list only the newest `N`")
	output.addWide(command)
	return command
}

// runRows returns a table of runs with headings. If short is set, times are in their short form.
func runRows(views []statusView, short bool) [][]string {
	begun, at := "BEGUN", when
	if short {
		begun, at = "BEGUN ("+zone()+")", shortWhen
	}
	rows := [][]string{{"RUN", "STATE", "TOTAL", "DONE", "DEAD", "UNCHANGED", "TO DO", "COST", begun, "MODEL", "SOURCE"}}
	for _, v := range views {
		state := string(v.State)
		if v.Reason != nil {
			state += ":" + string(*v.Reason)
		}
		if v.Until != nil {
			state += " until " + at(*v.Until)
		}
		d := v.Documents
		rows = append(rows, []string{
			v.Run, state, number(d.Total), number(d.Done), number(d.Dead), number(d.Skipped), number(d.Remaining),
			usd(v.costNano), at(v.Created), v.Model, v.Source,
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
	}, ledger.Paused, "paused by hand", nil)
}

func (c *cli) cancelCommand() *cobra.Command {
	var yes bool
	command := c.stopCommand(&cobra.Command{
		Use:   "cancel RUN",
		Short: "Cancel a run permanently",
		Long: `Finished documents keep their summaries, and the run works on no others. The next run or enqueue of
the same source and profile starts a new run with the remaining documents. On a terminal it asks.`,
	}, ledger.Cancelled, "cancelled by hand", func(ctx context.Context, a *app, run ledger.Run) error {
		if yes || !c.canAsk() {
			return nil
		}
		totals, _, err := a.ledger.Totals(ctx, run.ID)
		if err != nil {
			return err
		}
		return c.confirmed(fmt.Sprintf("Cancel run %s permanently, with %s? (`gistmill pause` stops it for a while.)", run.Name, toDo(totals.Remaining)), "not cancelled")
	})
	addYesFlag(command, &yes, "")
	return command
}

// stoppedRun is the result of `pause` and `cancel`. Its JSON fields are an interface for users.
type stoppedRun struct {
	Run    string        `json:"run"`
	State  ledger.State  `json:"state"`
	Reason ledger.Reason `json:"reason"`
}

// stopCommand is a command that stops a run. confirm, if not nil, is called before.
func (c *cli) stopCommand(command *cobra.Command, reason ledger.Reason, message string, confirm func(context.Context, *app, ledger.Run) error) *cobra.Command {
	var output outputFlag
	command.Args, command.ValidArgsFunction = runArg, c.completeRun
	c.command(command.Name(), usesQueue, command, func(ctx context.Context, a *app, args []string) error {
		run, err := a.ledger.Run(ctx, args[0])
		if err != nil {
			return err
		}
		if over := run.State == ledger.Finished || run.Reason == ledger.Cancelled; !over && confirm != nil {
			if err := confirm(ctx, a, run); err != nil {
				return err
			}
		}
		if err := a.stopRun(ctx, run, reason, message); err != nil {
			return err
		}
		return output.write(c.stdout, stoppedRun{run.Name, ledger.Stopped, reason}, func() error {
			_, err := fmt.Fprintf(c.stdout, "run %s is %s\n", run.Name, reason)
			return err
		})
	})
	output.add(command)
	return command
}

func (a *app) stopRun(ctx context.Context, run ledger.Run, reason ledger.Reason, message string) error {
	stopped, err := a.ledger.Stop(ctx, run.ID, ledger.Stop{Reason: reason, Message: message})
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

// resumedRun is the result of `resume`. Its JSON fields are an interface for users.
type resumedRun struct {
	Run       string       `json:"run"`
	Source    string       `json:"source"`
	State     ledger.State `json:"state"`
	Remaining int64        `json:"remaining"`
	Tasks     *int         `json:"tasks"` // enqueued; null without Redis

	working bool // workers were alive before
}

// text returns the result and what to do next.
func (r resumedRun) text() string {
	s := fmt.Sprintf("run %s is %s", r.Run, r.State)
	switch {
	case r.working: // it has a new budget
		return s + " with the new budget"
	case r.Tasks == nil:
		return s + "; --redis is not set, so continue it with `gistmill run` or `gistmill enqueue` and its source"
	}
	return s + ", " + count(int64(*r.Tasks), "task") + " enqueued"
}

func (c *cli) resumeCommand() *cobra.Command {
	var output outputFlag
	var yes bool
	command := &cobra.Command{
		Use:   "resume RUN",
		Short: "Continue a stopped run, or raise the budget of a run",
		Long: `Resume puts the run's partitions back into the queue if --redis is set. Otherwise "gistmill run" with
the same source continues them. It prints the estimate of what remains, and asks for confirmation as
"gistmill run" does.

  gistmill resume 20260131-k7m2qd --budget-usd 20`,
		Args:              runArg,
		ValidArgsFunction: c.completeRun,
	}
	c.command("resume", usesQueue, command, func(ctx context.Context, a *app, args []string) error {
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
		result, err := a.resume(ctx, run, usd, tokens, command.Flags().Changed, yes)
		if err != nil {
			return err
		}
		return output.write(c.stdout, result, func() error {
			_, err := fmt.Fprintln(c.stdout, result.text())
			return err
		})
	})
	addYesFlag(command, &yes, ifAbove)
	output.add(command)
	return command
}

// ifAbove is when commands that pay ask for confirmation.
const ifAbove = " if the estimate exceeds --confirm-above"

// addYesFlag adds the flag of a command that asks for confirmation. when says when it does.
func addYesFlag(command *cobra.Command, yes *bool, when string) {
	command.Flags().BoolVarP(yes, "yes", "y", false, "do not ask for confirmation"+when)
}

// resume continues a run after confirmation. changed reports which flags were given: a service in
// the environment is for new runs.
func (a *app) resume(ctx context.Context, run ledger.Run, budgetNano, budgetTokens *int64, changed func(flag string) bool, yes bool) (r resumedRun, err error) {
	if changed("service") {
		a.config.Model = run.Model
		if err := a.checkService(); err != nil {
			return r, err
		}
	}
	p, err := a.reopen(ctx, run, budgetNano, budgetTokens, changed)
	switch {
	case errors.Is(err, ledger.ErrState) && run.Reason == ledger.Cancelled:
		return r, fmt.Errorf("run %s is cancelled and cannot be resumed: start a new run of its source with `gistmill run` or `gistmill enqueue`", run.Name)
	case errors.Is(err, ledger.ErrState):
		return r, fmt.Errorf("run %s is %s and cannot be resumed: only a stopped run can; a running one takes a new budget", run.Name, run.State)
	case err != nil:
		return r, err
	}
	all := plans{p}
	if err := a.confirm(ctx, all, yes); err != nil {
		return r, err
	}
	if err := a.publish(all); err != nil {
		return r, err
	}
	r = resumedRun{Run: p.Run.Name, Source: p.Run.Source, State: p.Run.State, Remaining: p.Remaining}
	if run.State == ledger.Running {
		workers, err := a.ledger.Workers(ctx, run.ID)
		if err != nil {
			return r, err
		}
		r.working = slices.ContainsFunc(workers, runprogress.Alive)
	}
	if a.queue != nil {
		r.Tasks = &p.Enqueued
	}
	return r, nil
}

// profileOf reads the profile of a run.
func (a *app) profileOf(ctx context.Context, run ledger.Run) (p summarize.Profile, err error) {
	body, err := a.ledger.Profile(ctx, run.Profile)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return p, fmt.Errorf("read the profile of run %s: %w", run.Name, err)
	}
	return p, nil
}

// reopen prepares a run to continue with other budgets, unless they are nil, and with the service
// of the flags that were changed. It fails with
// [ledger.ErrState] if there is nothing to continue or change.
func (a *app) reopen(ctx context.Context, run ledger.Run, budgetNano, budgetTokens *int64, changed func(flag string) bool) (*prepared, error) {
	profile, err := a.profileOf(ctx, run)
	if err != nil {
		return nil, err
	}
	p := &prepared{profile: profile, ctx: ctx, traced: func(error) {}}
	e, err := a.enqueuer()
	if err != nil {
		return nil, err
	}
	if p.Plan, err = e.Reopen(ctx, run, budgetNano, budgetTokens); err != nil {
		return nil, err
	}
	a.setService(p.Plan, changed)
	if p.Run.State == ledger.Running && p.Planned == 0 && budgetNano == nil && budgetTokens == nil && p.Service == nil && p.FlexFallback == nil {
		p.Plan.Close()
		return nil, ledger.ErrState
	}
	if p.source, err = source.Open(ctx, run.Source, a.sourceOptions()); err != nil {
		a.say("the cost is unknown, because the documents cannot be read from here: %v", err)
	}
	return p, nil
}

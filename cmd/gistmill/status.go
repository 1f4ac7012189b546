package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
)

// statusView is a run as `status` shows it. Its JSON fields are relied on.
type statusView struct {
	Run       string         `json:"run"`
	Source    string         `json:"source"`
	Model     string         `json:"model"`
	Profile   string         `json:"profile"`
	State     ledger.State   `json:"state"`
	Reason    *ledger.Reason `json:"reason"`
	Message   string         `json:"message,omitempty"`
	Documents ledger.Totals  `json:"documents"`
	Flagged   int64          `json:"flagged"` // done documents whose summary has findings
	Tokens    tokensView     `json:"tokens"`
	Calls     int64          `json:"calls"`
	CostUSD   *float64       `json:"cost_usd"`
	BudgetUSD *float64       `json:"budget_usd"`
	Queue     *queueView     `json:"queue"`
	Workers   int64          `json:"workers"`
	Rate      float64        `json:"documents_per_second"`
	ETA       *float64       `json:"eta_seconds"`
	Created   time.Time      `json:"created_at"`
	Started   *time.Time     `json:"started_at"`
	Finished  *time.Time     `json:"finished_at"`
	Balanced  bool           `json:"balanced"`

	costNano *int64
}

type tokensView struct {
	In  int64 `json:"in"`
	Out int64 `json:"out"`
}

// status reads where a run stands. The queue is asked only if there is one.
func (a *app) status(ctx context.Context, run ledger.Run) (statusView, error) {
	totals, account, err := a.ledger.Totals(ctx, run.ID)
	if err != nil {
		return statusView{}, err
	}
	v := statusView{
		Run: run.Name, Source: run.Source, Model: run.Model, Profile: run.Profile, State: run.State, Message: run.Message, Documents: totals,
		Tokens: tokensView{account.TokensIn, account.TokensOut}, Calls: account.Calls, Created: run.Created,
		Started: notZero(run.Started), Finished: notZero(run.Finished), Balanced: totals.Balanced() && (run.State != ledger.Finished || totals.Remaining == 0),
	}
	if run.Reason != "" {
		v.Reason = &run.Reason
	}
	if account.CostKnown {
		cost := float64(account.CostNano) / 1e9
		v.CostUSD, v.costNano = &cost, &account.CostNano
	}
	if run.BudgetNano != nil {
		budget := float64(*run.BudgetNano) / 1e9
		v.BudgetUSD = &budget
	}
	if v.Flagged, err = report.New(a.ledger).Flagged(ctx, run.ID); err != nil {
		return v, err
	}
	if v.Workers, err = a.ledger.LiveWorkers(ctx); err != nil {
		return v, err
	}
	if a.queue != nil {
		c, err := a.queue.Count(ctx)
		if err != nil {
			return v, err
		}
		v.Queue = &queueView{Pending: c.Pending, Active: c.Active, Retry: c.Retry, Scheduled: c.Scheduled, Archived: c.Archived}
	}
	v.speed(run, time.Now())
	return v, nil
}

// queueView is how many tasks are where.
type queueView struct {
	Pending   int64 `json:"pending"`
	Active    int64 `json:"active"`
	Retry     int64 `json:"retry"`
	Scheduled int64 `json:"scheduled"`
	Archived  int64 `json:"archived"`
}

// statusDayView is a run with what all runs have cost on the current day, in UTC and ledger time.
type statusDayView struct {
	statusView
	CostUSDDay   *float64 `json:"cost_usd_day"`
	BudgetUSDDay *float64 `json:"budget_usd_day"`

	day     time.Time
	dayNano *int64
}

func (a *app) statusAndDay(ctx context.Context, run ledger.Run) (statusDayView, error) {
	var v statusDayView
	var err error
	if v.statusView, err = a.status(ctx, run); err != nil {
		return v, err
	}
	today, err := a.ledger.Today(ctx)
	if err != nil {
		return v, err
	}
	v.day = today.Begin
	if today.CostKnown {
		cost := float64(today.CostNano) / 1e9
		v.CostUSDDay, v.dayNano = &cost, &today.CostNano
	}
	if a.config.BudgetUSDDay > 0 {
		v.BudgetUSDDay = &a.config.BudgetUSDDay
	}
	return v, nil
}

func notZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// speed is the mean since the start: a run that was stopped for a while shows less than it does now.
func (v *statusView) speed(run ledger.Run, now time.Time) {
	if run.Started.IsZero() {
		return
	}
	end := now
	if !run.Finished.IsZero() {
		end = run.Finished
	}
	worked := float64(v.Documents.Done + v.Documents.Dead)
	if elapsed := end.Sub(run.Started).Seconds(); elapsed > 0 {
		v.Rate = worked / elapsed
	}
	if run.State == ledger.Running && v.Rate > 0 {
		eta := float64(v.Documents.Remaining) / v.Rate
		v.ETA = &eta
	}
}

func (c *cli) statusCommand() *cobra.Command {
	var output outputFlag
	var watch bool
	command := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Say how far a run is (the newest by default)",
		Long: `Status counts a run's documents, calls, tokens and cost in the ledger, and the tasks in the queue if --redis is set.
With --watch it shows that again and again and ends with the run, with the exit code that ` + "`run`" + ` would have.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeRuns,
	}
	load := c.settings(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		ctx := command.Context()
		a, err := load()
		if err != nil {
			return err
		}
		defer a.close()
		if err := a.open(ctx, queueViewed); err != nil {
			return err
		}
		run, err := a.ledger.Run(ctx, strings.Join(args, ""))
		if err != nil {
			return err
		}
		for {
			v, err := a.statusAndDay(ctx, run)
			if err != nil {
				return err
			}
			if err := output.write(c.stdout, v, func() error { return v.text(a) }); err != nil {
				return err
			}
			if !watch {
				return nil
			}
			if run.State == ledger.Finished || run.State == ledger.Stopped {
				return a.outcome([]statusView{v.statusView})
			}
			if err := pause(ctx, time.Second); err != nil {
				return err
			}
			if run, err = a.ledger.RunByID(ctx, run.ID); err != nil {
				return err
			}
			if !output.json {
				fmt.Fprintln(c.stdout)
			}
		}
	}
	command.Flags().BoolVarP(&watch, "watch", "w", false, "show it every second until the run has ended")
	output.add(command)
	return command
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// text shows a run and the day to people.
func (v statusDayView) text(a *app) error {
	state := string(v.State)
	if v.Reason != nil {
		state += " (" + string(*v.Reason) + ")"
	}
	d := v.Documents
	rows := [][]string{
		{"run", v.Run},
		{"source", v.Source},
		{"model", v.Model},
		{"state", state},
		{"documents", fmt.Sprintf("%s: %s done, %s dead, %s unchanged, %s to do", number(d.Total), number(d.Done), number(d.Dead), number(d.Skipped), number(d.Remaining))},
		{"calls", fmt.Sprintf("%s, tokens %s in, %s out", number(v.Calls), number(v.Tokens.In), number(v.Tokens.Out))},
		{"cost", usd(v.costNano)},
	}
	if v.Flagged > 0 {
		rows = append(rows, []string{"flagged", summaries(v.Flagged) + " with findings"})
	}
	if v.Message != "" {
		rows = append(rows, []string{"message", v.Message})
	}
	if v.BudgetUSD != nil {
		rows = append(rows, []string{"budget", fmt.Sprintf("$%.2f", *v.BudgetUSD)})
	}
	day := usd(v.dayNano)
	if v.BudgetUSDDay != nil {
		day += fmt.Sprintf(" of $%g", *v.BudgetUSDDay)
	}
	rows = append(rows, []string{"day", fmt.Sprintf("%s, all runs, %s UTC", day, v.day.Format("2006-01-02"))})
	if v.State == ledger.Running {
		rows = append(rows, []string{"workers", number(v.Workers)})
	}
	if v.Rate > 0 {
		speed := fmt.Sprintf("%.1f documents/s", v.Rate)
		if v.ETA != nil {
			speed += ", about " + round(time.Duration(*v.ETA*float64(time.Second))) + " to go"
		}
		rows = append(rows, []string{"speed", speed})
	}
	if q := v.Queue; q != nil {
		rows = append(rows, []string{"queue", fmt.Sprintf("%d pending, %d active, %d retry, %d scheduled, %d archived", q.Pending, q.Active, q.Retry, q.Scheduled, q.Archived)})
	}
	if !v.Balanced {
		rows = append(rows, []string{"WARNING", "the books do not balance: the figures do not add up to the total"})
	}
	return table(a.stdout, rows...)
}

// outcome is the exit code of runs that ended, with what to do: 1, 5, 3, 0, in this order.
func (a *app) outcome(all []statusView) error {
	var dead int64
	var budget, failed []string
	for _, v := range all {
		dead += v.Documents.Dead
		switch {
		case !v.Balanced:
			failed = append(failed, fmt.Sprintf("run %s: the books do not balance; please report this with `gistmill status %s -o json`", v.Run, v.Run))
		case v.Reason == nil:
		case *v.Reason == ledger.Budget:
			budget = append(budget, fmt.Sprintf("run %s stopped, %s: %s", v.Run, waiting(v.Documents.Remaining), v.Message))
		default:
			failed = append(failed, fmt.Sprintf("run %s was stopped (%s): %s; %s, and the same command goes on with what waits",
				v.Run, *v.Reason, orDash(v.Message), waiting(v.Documents.Remaining)))
		}
	}
	switch {
	case len(failed) > 0:
		return &exitError{exitFailed, strings.Join(append(failed, budget...), "\ngistmill: ")}
	case len(budget) > 0:
		return &exitError{exitBudget, strings.Join(budget, "\ngistmill: ")}
	case dead > 0:
		return &exitError{exitDead, fmt.Sprintf("%s dead: `gistmill dead list` says why, `gistmill dead retry` tries again", count(dead, "document"))}
	}
	return nil
}

func waiting(documents int64) string {
	if documents == 1 {
		return "1 document waits"
	}
	return number(documents) + " documents wait"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

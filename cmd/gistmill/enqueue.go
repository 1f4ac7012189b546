package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

func (c *cli) enqueueCommand() *cobra.Command {
	var sources sourceFlags
	var force, wait, dryRun bool
	var output outputFlag
	command := &cobra.Command{
		Use:   "enqueue SOURCE...",
		Short: "List sources and enqueue what is new or changed",
		Long: `Enqueue lists each source, compares it with the ledger, and puts a task for every partition of new or changed documents
into the queue, for workers to take up. An unfinished run of the same source and profile is continued.`,
		Args: atLeastOneSource,
	}
	c.settings(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		var required []string
		if !dryRun {
			required = []string{"redis"}
		}
		a, err := c.settingsOf(command, required...)
		if err != nil {
			return err
		}
		defer a.close()
		if dryRun {
			if err := a.open(command.Context(), queueNone); err != nil {
				return err
			}
			return a.dryRun(command.Context(), args, &sources, force, output)
		}
		for _, raw := range args {
			if raw == "-" {
				return &usageError{errors.New("enqueue can't take standard input, which workers could not read: write it to a file or bucket they can reach, or use `gistmill run -`")}
			}
		}
		if err := a.checkBudget(); err != nil {
			return err
		}
		if err := a.open(command.Context(), queueRequired); err != nil {
			return err
		}
		if _, err := a.recovery.Reconcile(command.Context()); err != nil {
			return err
		}
		if err := sources.check(command.Context(), a, args); err != nil {
			return err
		}
		var plans []enqueuer.Plan
		for _, raw := range args {
			plan, err := a.plan(command.Context(), raw, &sources, planOptions{force: force, wait: wait})
			if err != nil {
				return err
			}
			plans = append(plans, plan)
		}
		return output.write(c.stdout, planRows(plans), func() error {
			for _, p := range plans {
				fmt.Fprintln(c.stdout, describePlan(p))
			}
			return nil
		})
	}
	sources.add(command)
	command.Flags().BoolVar(&force, "force", false, "do every document again; summaries made before do not count")
	command.Flags().BoolVar(&wait, "wait", false, "wait while another process plans the same source and profile")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "only say how many documents, tokens and USD it would be; nothing is written or called")
	output.add(command)
	return command
}

// planOptions differ between run and enqueue.
type planOptions struct {
	force, wait bool
	spool       string
	confirm     func(context.Context, *source.Source, summarize.Profile, enqueuer.Plan) error
	progress    func(listed int64)
}

// plan lists one source and enqueues its run.
func (a *app) plan(ctx context.Context, raw string, flags *sourceFlags, o planOptions) (enqueuer.Plan, error) {
	var none enqueuer.Plan
	src, err := flags.open(ctx, a, raw, o.spool)
	if err != nil {
		return none, err
	}
	defer src.Close()
	profile, err := a.profileFor(ctx, src.URL())
	if err != nil {
		return none, err
	}
	body, err := json.Marshal(profile)
	if err != nil {
		return none, err
	}
	e, err := enqueuer.New(enqueuer.Config{Ledger: a.ledger, Queue: a.queue, Log: a.log, Progress: o.progress})
	if err != nil {
		return none, err
	}
	request := enqueuer.Request{
		Source: src, Profile: profile.Hash(), Model: profile.Model, ProfileBody: string(body),
		Force: o.force, Wait: o.wait, Partial: flags.limit > 0,
		BudgetNano: budgetNano(a.config.BudgetUSD), BudgetTokens: positive(a.config.BudgetTokens),
		Size: ledger.PartitionSize{Documents: a.config.PartitionDocuments, Bytes: a.config.PartitionBytes},
	}
	if o.confirm != nil {
		request.Confirm = func(ctx context.Context, p enqueuer.Plan) error { return o.confirm(ctx, src, profile, p) }
	}
	ctx, traced := a.tracing.Enqueue(ctx)
	plan, err := e.Enqueue(ctx, request)
	traced(plan.Run.Name, plan.Count.Pending, plan.Enqueued, err)
	if err == nil && plan.Count.Listed == 0 {
		a.say("warning: %s has no documents", raw)
	}
	return plan, err
}

// checkBudget refuses a cap in USD where the price of a model that may be asked is not known.
func (a *app) checkBudget() error {
	p, err := a.profile()
	if err != nil {
		return err
	}
	if a.config.BudgetUSD <= 0 && a.config.BudgetUSDDay <= 0 || p.Model == summarize.Extractive {
		return nil
	}
	name := "--budget-usd"
	if a.config.BudgetUSD <= 0 {
		name = "--budget-usd-day"
	}
	prices, err := a.prices()
	if err != nil {
		return err
	}
	if unknown := prices.Unknown(a.endpoints().Models(p.Model)...); len(unknown) > 0 {
		return &config.InvalidError{Problems: []string{name + ": " + (&llm.UnpricedError{Models: unknown}).Error()}}
	}
	return nil
}

func budgetNano(usd float64) *int64 {
	return positive(int64(math.Round(usd * 1e9)))
}

// positive is nil for a setting that is not set.
func positive(n int64) *int64 {
	if n <= 0 {
		return nil
	}
	return &n
}

// planRow is a plan as JSON.
type planRow struct {
	Run       string       `json:"run"`
	Source    string       `json:"source"`
	State     ledger.State `json:"state"`
	Continued bool         `json:"continued"`
	Listed    int64        `json:"listed"`
	Pending   int64        `json:"new"`
	Skipped   int64        `json:"skipped"`
	Dead      int64        `json:"dead"`
	Remaining int64        `json:"remaining"`
	Repeated  int64        `json:"repeated"`
	Gone      int64        `json:"gone"`
	Tasks     int          `json:"tasks"`
}

func planRows(plans []enqueuer.Plan) []planRow {
	rows := make([]planRow, len(plans))
	for i, p := range plans {
		rows[i] = planRow{
			Run: p.Run.Name, Source: p.Run.Source, State: p.Run.State, Continued: p.Continued, Listed: p.Count.Listed, Pending: p.Count.Pending,
			Skipped: p.Count.Skipped, Dead: p.Count.Dead, Remaining: p.Remaining, Repeated: p.Count.Repeated, Gone: p.Gone, Tasks: p.Enqueued,
		}
	}
	return rows
}

// describePlan is a plan in a line.
func describePlan(p enqueuer.Plan) string {
	verb := "new run"
	switch {
	case p.Resumed:
		verb = "resumed run"
	case p.Continued:
		verb = "continued run"
	}
	s := fmt.Sprintf("%s %s: %s listed, %s to do, %s unchanged", verb, p.Run.Name, count(p.Count.Listed, "document"),
		number(p.Remaining), number(p.Count.Skipped))
	if p.Count.Dead > 0 {
		s += fmt.Sprintf(", %s dead", number(p.Count.Dead))
	}
	if p.Gone > 0 {
		s += fmt.Sprintf(", %s gone", number(p.Gone))
	}
	if p.Count.Repeated > 0 {
		s += fmt.Sprintf(", %s with the id of an earlier one left out", number(p.Count.Repeated))
	}
	return s
}

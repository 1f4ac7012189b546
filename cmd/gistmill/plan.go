package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

// planOptions are the options of a plan beyond the source and the settings.
type planOptions struct {
	force, wait bool
	spool       string // folder for the documents of standard input
	// confirm, if not nil, is called before the plan is published.
	confirm func(context.Context, *source.Source, summarize.Profile, enqueuer.Plan) error
}

func addPlanFlags(command *cobra.Command, force, wait *bool) {
	command.Flags().BoolVar(force, "force", false, "summarize all documents again and ignore existing summaries")
	command.Flags().BoolVar(wait, "wait", false, "wait if another process plans the same source and profile")
}

// plan plans one source and enqueues its run.
func (a *app) plan(ctx context.Context, given source.Given, flags *sourceFlags, o planOptions) (enqueuer.Plan, error) {
	var none enqueuer.Plan
	src, err := flags.open(ctx, a, given, o.spool)
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
	e, err := enqueuer.New(enqueuer.Config{Ledger: a.ledger, Queue: a.queue, Log: a.log})
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
		a.say("warning: %s", flags.describeLeftOut(given, src.LeftOut()))
	}
	return plan, err
}

// planRow is a plan as JSON. Its fields are an interface for users.
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

// describePlan returns a plan in one line.
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
		s += fmt.Sprintf(", %s left out with a repeated id", number(p.Count.Repeated))
	}
	return s
}

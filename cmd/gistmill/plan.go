package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

// planOptions are the options of a plan beyond the source and the settings.
type planOptions struct {
	force, wait bool
	spool       string // folder for the documents of standard input
}

func addPlanFlags(command *cobra.Command, force, wait *bool) {
	command.Flags().BoolVar(force, "force", false, "summarize all documents again and ignore existing summaries")
	command.Flags().BoolVar(wait, "wait", false, "wait if another process plans the same source and profile")
}

func addDryRunFlag(command *cobra.Command, dryRun *bool) {
	command.Flags().BoolVar(dryRun, "dry-run", false, "print the number of documents, tokens and US dollars, and write and call nothing")
}

// prepared is a plan that waits for confirmation, with what its estimate needs.
type prepared struct {
	*enqueuer.Plan
	source   *source.Source // nil: it cannot be read from here
	profile  summarize.Profile
	estimate enqueuer.Estimate // of what remains; free without a model or documents

	ctx    context.Context // with the trace of the plan
	traced func(err error)
	closed bool
}

// close returns the planning lease. err is the reason why the plan was not published, or nil.
func (p *prepared) close(err error) {
	if p.closed {
		return
	}
	p.closed = true
	p.traced(err)
	p.Plan.Close()
	if p.source != nil {
		_ = p.source.Close() // it was only read
	}
}

// tier returns the service tier that the calls of the plan ask for.
func (p *prepared) tier() llm.Tier {
	if p.Flex() {
		return llm.TierFlex
	}
	return llm.TierStandard
}

// plans are the plans of one command. They are confirmed and published together.
type plans []*prepared

func (all plans) close(err error) {
	for _, p := range all {
		p.close(err)
	}
}

// prepare plans the sources. A source that is given twice is planned once. No worker can begin the
// plans before they are published. The caller closes them.
func (a *app) prepare(ctx context.Context, sources []*opened, flags *sourceFlags, o planOptions) (all plans, err error) {
	defer func() {
		if err != nil {
			all.close(err)
			all = nil
		}
	}()
	for _, s := range sources {
		src, err := s.take(ctx, a, flags, o.spool)
		if err != nil {
			return all, err
		}
		if slices.ContainsFunc(all, func(p *prepared) bool { return p.source.URL() == src.URL() }) {
			_ = src.Close()
			continue
		}
		p, err := a.prepareOne(ctx, src, flags, o)
		if err != nil {
			_ = src.Close()
			return all, err
		}
		flags.warnOfListing(a, s.Given, src, p.Count.Listed)
		all = append(all, p)
	}
	return all, nil
}

// prepareOne plans an open source.
func (a *app) prepareOne(ctx context.Context, src *source.Source, flags *sourceFlags, o planOptions) (*prepared, error) {
	profile, err := a.profileFor(ctx, src.URL())
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(profile)
	if err != nil {
		return nil, err
	}
	e, err := a.enqueuer()
	if err != nil {
		return nil, err
	}
	request := enqueuer.Request{
		Source: src, Profile: profile.Hash(), Model: profile.Model, ProfileBody: string(body),
		Force: o.force, Wait: o.wait, Partial: flags.limit > 0,
		BudgetNano: budgetNano(a.config.BudgetUSD), BudgetTokens: positive(a.config.BudgetTokens),
		Size: ledger.PartitionSize{Documents: a.config.PartitionDocuments, Bytes: a.config.PartitionBytes},
	}
	ctx, end := a.tracing.Enqueue(ctx)
	listed, stop := a.progress.listing(src.URL())
	request.Listed = listed
	plan, err := e.Plan(ctx, request)
	stop()
	if err != nil {
		end("", 0, 0, err)
		return nil, err
	}
	a.setService(plan, a.config.IsSet)
	return &prepared{
		Plan: plan, source: src, profile: profile, ctx: ctx,
		traced: func(err error) { end(plan.Run.Name, plan.Count.Pending, plan.Enqueued, err) },
	}, nil
}

// enqueuer returns what plans sources. Without a queue it can only preview.
func (a *app) enqueuer() (*enqueuer.Enqueuer, error) {
	return enqueuer.New(enqueuer.Config{Ledger: a.ledger, Queue: a.queue, Log: a.log})
}

// publish makes confirmed plans visible to workers, and closes them.
func (a *app) publish(all plans) (err error) {
	defer func() { all.close(err) }()
	for _, p := range all {
		if err := p.Publish(p.ctx); err != nil {
			return err
		}
	}
	return nil
}

// refuse closes plans that were not confirmed because of the error. A plan without work is
// published: there is nothing to confirm.
func (a *app) refuse(all plans, reason error) error {
	defer all.close(reason)
	err := reason
	for _, p := range all {
		ctx := context.WithoutCancel(p.ctx)
		if p.Remaining > 0 {
			err = errors.Join(err, p.Refuse(ctx))
		} else if reason := p.Publish(ctx); reason != nil && a.stop.Err() == nil {
			err = errors.Join(err, reason)
		}
	}
	return err
}

// planRow is a plan as JSON. Its fields are an interface for users.
type planRow struct {
	Run       string            `json:"run"`
	Source    string            `json:"source"`
	State     ledger.State      `json:"state"`
	Continued bool              `json:"continued"`
	Listed    int64             `json:"listed"`
	Pending   int64             `json:"new"`
	Skipped   int64             `json:"skipped"`
	Dead      int64             `json:"dead"`
	Remaining int64             `json:"remaining"`
	Repeated  int64             `json:"repeated"`
	Gone      int64             `json:"gone"`
	Tasks     int               `json:"tasks"`
	Model     string            `json:"model"`
	Endpoint  *string           `json:"endpoint"` // null: built in, or known to the workers only
	Estimate  enqueuer.Estimate `json:"estimate"` // of what remains
}

func (a *app) planRow(p *prepared) planRow {
	row := planRow{
		Run: p.Run.Name, Source: p.source.URL(), State: p.Run.State, Continued: p.Continued, Listed: p.Count.Listed, Pending: p.Count.Pending,
		Skipped: p.Count.Skipped, Dead: p.Count.Dead, Remaining: p.Remaining, Repeated: p.Count.Repeated, Gone: p.Gone, Tasks: p.Enqueued,
		Model: p.profile.Model, Estimate: p.estimate,
	}
	if endpoint := a.endpoint(); endpoint != "" && p.profile.Model != summarize.Extractive {
		row.Endpoint = &endpoint
	}
	return row
}

// describePlan returns a plan in one line.
func describePlan(p *enqueuer.Plan) string {
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

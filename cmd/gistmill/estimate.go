package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

// estimateSample is the number of documents that an estimate of a run reads.
const estimateSample = 100

// estimate estimates a plan of a source from a sample of its documents.
func (a *app) estimate(ctx context.Context, src *source.Source, profile summarize.Profile, documents int64, sample []ledger.Entry) (enqueuer.Estimate, error) {
	prices, err := a.prices()
	if err != nil {
		return enqueuer.Estimate{}, err
	}
	estimator := enqueuer.Estimator{
		Profile: profile, Prices: prices, ContextTokens: a.window(prices, profile.Model),
		Limits: extract.Limits{Bytes: a.config.MaxDocumentBytes}, RPM: a.config.RPM, TPM: a.config.TPM,
	}
	e, err := estimator.Estimate(ctx, src, documents, sample)
	if err != nil {
		return e, fmt.Errorf("estimate: %w", err)
	}
	return e, nil
}

// estimatePlans estimates what remains of each run that calls a model, and prints the estimates
// and their sum. It returns the sum; nil if no plan calls a model.
func (a *app) estimatePlans(ctx context.Context, all plans) (*enqueuer.Estimate, error) {
	var sum *enqueuer.Estimate
	n := 0
	for _, p := range all {
		if p.profile.Model == summarize.Extractive || p.Remaining == 0 {
			continue
		}
		e := enqueuer.Estimate{Documents: p.Remaining}
		if p.source != nil {
			var err error
			if e, err = a.estimate(ctx, p.source, p.profile, p.Remaining, p.Sample[:min(len(p.Sample), estimateSample)]); err != nil {
				return nil, err
			}
		}
		p.estimate = &e
		if n++; n == 1 {
			first := e
			sum = &first
		} else {
			sum.Add(e)
		}
		where := ""
		if len(all) > 1 {
			where = p.Run.Source + ": "
		}
		a.say("%s%s", where, describeEstimate(e, p.profile.Model+a.at()))
	}
	if n > 1 {
		a.say("all sources: %s", describeCost(*sum, count(sum.Documents, "document")))
	}
	return sum, nil
}

// at names the endpoint for messages: " at HOST", or "" if only the workers know it.
func (a *app) at() string {
	switch {
	case a.config.BaseURL != "":
		return " at " + config.RedactURL(a.config.BaseURL)
	case a.config.APIKey != "":
		return " at api.openai.com"
	}
	return ""
}

// errNotStarted ends a command whose plan was not confirmed.
var errNotStarted = &exitError{exitFailed, "Not started. Nothing was sent. Run the command again to start."}

// confirm prints the estimate of everything that remains, and asks for confirmation if its maximum
// exceeds the setting confirm-above. Without a terminal it fails instead, unless yes is set. It
// closes the plans if it fails.
func (a *app) confirm(ctx context.Context, all plans, yes bool) error {
	sum, err := a.estimatePlans(ctx, all)
	if err == nil && sum != nil && !yes && a.above(all, sum.CostUSDMost) {
		err = a.askToStart(sum)
	}
	if err != nil {
		return a.refuse(all, err)
	}
	return nil
}

// above reports whether the maximum cost in USD of plans needs a confirmation. An unknown cost
// does, unless each run has a cap on tokens.
func (a *app) above(all plans, most *float64) bool {
	switch {
	case a.config.ConfirmAbove == 0:
		return true
	case most == nil:
		return a.config.BudgetTokens <= 0 && slices.ContainsFunc(all, func(p *prepared) bool { return p.Run.Tokens == nil })
	}
	return *most > a.config.ConfirmAbove
}

func (a *app) askToStart(sum *enqueuer.Estimate) error {
	if !a.canAsk() {
		reason := "the cost is unknown"
		if sum.CostUSDMost != nil {
			reason = fmt.Sprintf("the cost of at most %s is above %s (--confirm-above)", usdMost(*sum.CostUSDMost), text.USD(a.config.ConfirmAbove))
		}
		return &exitError{exitUsage, fmt.Sprintf("%s, and there is no terminal to ask on; nothing was sent\ngistmill: to start, type: %s", reason, a.commandWith("--yes"))}
	}
	ok, err := a.ask("Continue?")
	if err == nil && !ok {
		err = errNotStarted
	}
	return err
}

// commandWith returns the command line with a further flag. Arguments that may contain a password
// are left out.
func (c *cli) commandWith(flag string) string {
	words := []string{"gistmill"}
	for _, arg := range c.args {
		if strings.ContainsAny(arg, "@?") {
			return "the same command with " + flag
		}
		words = append(words, shellQuoted(arg))
	}
	return strings.Join(append(words, flag), " ")
}

// describeEstimate returns an estimate in one line. model may name the endpoint too.
func describeEstimate(e enqueuer.Estimate, model string) string {
	s := describeCost(e, count(e.Documents, "document")+" to "+model)
	if e.Unreadable > 0 {
		s += fmt.Sprintf("; %s of the sample cannot be read", count(e.Unreadable, "document"))
	}
	return s
}

// describeCost returns the tokens, cost and time of an estimate of something.
func describeCost(e enqueuer.Estimate, what string) string {
	s := fmt.Sprintf("%s: about %s, %s tokens in, %s out", what, count(e.Calls, "call"), number(e.TokensIn), number(e.TokensOut))
	if e.Sampled < e.Documents {
		s += fmt.Sprintf(" (95 %% range %s to %s in, from a sample of %s)", number(e.TokensInLow), number(e.TokensInHigh), number(e.Sampled))
	}
	if e.CostUSD == nil {
		s += "; cost unknown (set the price of this model with --prices FILE)"
	} else {
		s += fmt.Sprintf("; about %s, at most %s", text.USD(*e.CostUSD), usdMost(*e.CostUSDMost))
	}
	if e.Seconds != nil {
		s += "; " + round(time.Duration(*e.Seconds*float64(time.Second))) + " at the rate limits"
	}
	return s
}

// dryRunRow is a source's estimate as JSON. Its fields are an interface for users.
type dryRunRow struct {
	planRow
	Model    string            `json:"model"`
	Estimate enqueuer.Estimate `json:"estimate"`
}

// dryRun prints what enqueue would do, and does nothing of it.
func (a *app) dryRun(ctx context.Context, args []string, flags *sourceFlags, force bool, output outputFlag) error {
	sources, err := flags.check(ctx, a, args)
	if err != nil {
		return err
	}
	if err := flags.checkMatches(ctx, a); err != nil {
		return err
	}
	rows := []dryRunRow{}
	for _, given := range sources {
		row, err := a.dryRunOne(ctx, given, flags, force)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return output.write(a.stdout, rows, func() error {
		for _, r := range rows {
			fmt.Fprintf(a.stdout, "%s: %s listed, %s to do, %s unchanged, %s dead\n  %s\n", text.TerminalLine(r.Source), count(r.Listed, "document"), number(r.Pending),
				number(r.Skipped), number(r.Dead), describeEstimate(r.Estimate, r.Model))
		}
		return nil
	})
}

func (a *app) dryRunOne(ctx context.Context, given source.Given, flags *sourceFlags, force bool) (dryRunRow, error) {
	src, err := flags.open(ctx, a, given, "")
	if err != nil {
		return dryRunRow{}, err
	}
	defer src.Close()
	profile, err := a.profileFor(ctx, src.URL())
	if err != nil {
		return dryRunRow{}, err
	}
	previewer, err := enqueuer.New(enqueuer.Config{Ledger: a.ledger, Log: a.log})
	if err != nil {
		return dryRunRow{}, err
	}
	plan, err := previewer.Preview(ctx, enqueuer.Request{Source: src, Profile: profile.Hash(), Force: force})
	if err != nil {
		return dryRunRow{}, err
	}
	if plan.Count.Listed == 0 {
		a.say("warning: %s", flags.describeLeftOut(given, src.LeftOut()))
	}
	e, err := a.estimate(ctx, src, profile, plan.Count.Pending, plan.Sample)
	if err != nil {
		return dryRunRow{}, err
	}
	row := dryRunRow{planRow: planRows([]*enqueuer.Plan{&plan})[0], Model: profile.Model, Estimate: e}
	row.Source = src.URL()
	return row, nil
}

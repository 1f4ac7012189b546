package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

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
	return estimator.Estimate(ctx, src, documents, sample)
}

// describeEstimate returns an estimate in one line.
func describeEstimate(e enqueuer.Estimate, model string) string {
	s := fmt.Sprintf("%s to %s: about %s, %s tokens in, %s out", count(e.Documents, "document"), model, count(e.Calls, "call"),
		number(e.TokensIn), number(e.TokensOut))
	if e.Sampled < e.Documents {
		s += fmt.Sprintf(" (from a sample of %s; input tokens between %s and %s)", number(e.Sampled), number(e.TokensInLow), number(e.TokensInHigh))
	}
	if e.CostUSD == nil {
		s += "; cost unknown (set the price of this model with --prices FILE)"
	} else {
		s += fmt.Sprintf("; about %s, at most %s", text.USD(*e.CostUSD), text.USD(*e.CostUSDMost))
	}
	if e.Seconds != nil {
		s += "; " + round(time.Duration(*e.Seconds*float64(time.Second))) + " at the rate limits"
	}
	if e.Unreadable > 0 {
		s += fmt.Sprintf("; %s of the sample cannot be read", count(e.Unreadable, "document"))
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
	row := dryRunRow{planRow: planRows([]enqueuer.Plan{plan})[0], Model: profile.Model, Estimate: e}
	row.Source = src.URL()
	return row, nil
}

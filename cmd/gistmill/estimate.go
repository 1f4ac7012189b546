package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

const (
	// estimateSample is the number of documents that an estimate of a run reads.
	estimateSample = 100
	// enqueueSample is that number for `enqueue` of a bucket. It runs on schedules and asks no
	// question, so that its estimate is not worth many requests and downloads.
	enqueueSample = 2
)

// estimate estimates a plan of a source from a sample of its documents.
func (a *app) estimate(ctx context.Context, src *source.Source, profile summarize.Profile, tier llm.Tier, documents int64, sample []ledger.Entry) (enqueuer.Estimate, error) {
	prices, err := a.prices()
	if err != nil {
		return enqueuer.Estimate{}, err
	}
	if err := a.book().Sync(ctx); err != nil { // what earlier runs learned
		return enqueuer.Estimate{}, err
	}
	estimator := enqueuer.Estimator{
		Headroom: a.endpoints().Headroom(profile.Model, profile.ReasoningEffort), Thought: a.endpoints().Thought(profile.Model, profile.ReasoningEffort),
		Profile: profile, Tier: tier, Prices: prices, ContextTokens: a.window(prices, profile.Model), Fallbacks: a.endpoints().Models(profile.Model),
		Limits: extract.Limits{Bytes: a.config.MaxDocumentBytes}, MinWords: a.config.MinWords, RPM: a.config.RPM, TPM: a.config.TPM,
	}
	done := a.slow("estimating the cost from " + count(int64(len(sample)), "document") + " of " + src.URL())
	e, err := estimator.Estimate(ctx, src, documents, sample)
	done()
	if err != nil {
		return e, fmt.Errorf("estimate: %w", err)
	}
	return e, a.addTime(ctx, profile.Model, &e)
}

// addTime adds the time that an estimate's calls take: what the newest calls of the model took,
// with as many in flight as the settings allow, and not less than the rate limits allow. Without
// measured calls or limits the time is not known.
func (a *app) addTime(ctx context.Context, model string, e *enqueuer.Estimate) error {
	e.Seconds = e.SecondsAtLimits
	if e.Calls == 0 {
		return nil
	}
	each, err := report.New(a.ledger).CallSeconds(ctx, model)
	if err != nil || each == nil {
		return err
	}
	seconds := *each * math.Ceil(float64(e.Calls)/float64(a.config.Concurrency))
	if e.SecondsAtLimits != nil {
		seconds = max(seconds, *e.SecondsAtLimits)
	}
	e.Seconds = &seconds
	return nil
}

// estimatePlans estimates what remains of each run that calls a model, and prints the estimates and
// their sum. It reads at most sample documents of each bucket. It returns the sum; nil if no plan
// calls a model.
func (a *app) estimatePlans(ctx context.Context, all plans, sample int) (*enqueuer.Estimate, error) {
	var sum *enqueuer.Estimate
	n := 0
	for _, p := range all {
		p.estimate = enqueuer.Free(p.Remaining)
		if p.profile.Model == summarize.Extractive || p.Remaining == 0 {
			continue
		}
		if p.source == nil {
			var err error
			if p.estimate, err = a.unread(p.profile.Model, p.Remaining); err != nil {
				return nil, err
			}
		} else {
			read := estimateSample
			if !strings.HasPrefix(p.source.URL(), "file:") {
				read = sample
			}
			var err error
			if p.estimate, err = a.estimate(ctx, p.source, p.profile, p.tier(), p.Remaining, p.Sample[:min(len(p.Sample), read)]); err != nil {
				return nil, err
			}
			// Workers elsewhere may have what is missing here.
			if e := p.estimate; !a.embedded() && e.Sampled > 0 && e.Unreadable == e.Sampled {
				if p.estimate, err = a.unread(p.profile.Model, p.Remaining); err != nil {
					return nil, err
				}
			}
		}
		if n++; n == 1 {
			first := p.estimate
			sum = &first
		} else {
			sum.Add(p.estimate)
		}
		a.say("%s%s", sourceOf(p, all), a.describeEstimate(p.estimate, p.profile.Model))
	}
	if n > 1 {
		a.say("all sources: %s", describeCost(*sum, count(sum.Documents, "document")))
	}
	if sum != nil {
		if others := otherTiers(*sum); others != "" {
			a.say("%s", others)
		}
	}
	return sum, nil
}

// unread returns the estimate of documents that cannot be read from here.
func (a *app) unread(model string, documents int64) (enqueuer.Estimate, error) {
	e := enqueuer.Estimate{Documents: documents}
	prices, err := a.prices()
	if err != nil {
		return e, err
	}
	models := a.endpoints().Models(model)
	e.Unread = len(prices.Unknown(llm.TierStandard, models...)) < len(models)
	return e, nil
}

// sourceOf begins a line about one of several plans.
func sourceOf(p *prepared, all plans) string {
	if len(all) == 1 {
		return ""
	}
	return p.source.URL() + ": "
}

// endpoint returns the endpoint of the settings for people; "" if only the workers know it.
func (a *app) endpoint() string {
	switch {
	case a.config.BaseURL != "":
		return config.RedactURL(a.config.BaseURL)
	case a.config.HasKey():
		return "api.openai.com"
	}
	return ""
}

func (a *app) endpointText() string {
	return cmp.Or(a.endpoint(), "the workers' endpoint")
}

// errNotStarted ends a command whose plan was not confirmed.
var errNotStarted = &exitError{exitFailed, "Not started. Nothing was sent. Run the command again to start."}

// confirm prints the estimate of everything that remains, and asks for confirmation if its maximum
// exceeds the setting confirm-above. Without a terminal it fails instead, unless yes is set. It
// closes the plans if it fails.
func (a *app) confirm(ctx context.Context, all plans, yes bool) error {
	sum, err := a.estimatePlans(ctx, all, estimateSample)
	if err == nil && sum != nil && !yes && a.above(all, sum) {
		err = a.askToStart(sum, describeCost(*sum, count(sum.Documents, "document")))
	}
	if err != nil {
		return a.refuse(all, err)
	}
	return nil
}

// above reports whether the estimate of plans needs a confirmation. If a price is unknown and no
// cap on tokens bounds every run, it needs one on a terminal, unless all endpoints are local: their
// models rarely have a price. Without a terminal it prints a warning instead, so that scripts for
// local and self-hosted models work.
func (a *app) above(all plans, sum *enqueuer.Estimate) bool {
	capped := !slices.ContainsFunc(all, func(p *prepared) bool { return !p.CapsTokens() })
	switch {
	case a.config.ConfirmAbove == 0, sum.PricedUSDMost > a.config.ConfirmAbove:
		return true
	case sum.CostUSDMost != nil, capped:
		return false
	case sum.Unread:
		return true
	case a.canAsk():
		endpoints := a.endpoints()
		return len(endpoints) == 0 || slices.ContainsFunc(endpoints, func(e llm.Endpoint) bool { return !config.IsLocalURL(e.BaseURL) })
	}
	a.say("warning: the cost is unknown, because the model has no known price: set it with --prices FILE, or bound the run with --budget-tokens")
	return false
}

// askToStart asks whether to start what costs the sum. about says it in words, and was printed
// before unless the command is quiet: a question is never asked without its figures.
func (a *app) askToStart(sum *enqueuer.Estimate, about string) error {
	if !a.canAsk() {
		var reason string
		switch {
		case a.config.ConfirmAbove == 0:
			reason = "--confirm-above 0 asks always"
		case sum.CostUSDMost != nil:
			reason = fmt.Sprintf("the cost of at most %s is above %s (--confirm-above)", usdMost(*sum.CostUSDMost), text.USD(a.config.ConfirmAbove))
		case sum.PricedUSDMost > a.config.ConfirmAbove:
			reason = fmt.Sprintf("the cost at the known prices alone is up to %s, above %s (--confirm-above)", usdMost(sum.PricedUSDMost), text.USD(a.config.ConfirmAbove))
		default:
			reason = "the cost is unknown"
		}
		return &exitError{exitUsage, fmt.Sprintf("%s, and there is no terminal to ask on; nothing was sent\ngistmill: to start, type: %s", reason, a.commandWith("--yes", ""))}
	}
	if a.quiet {
		a.tell(slog.LevelInfo, about, about)
	}
	ok, err := a.ask("Continue?")
	switch {
	case a.stop.Err() != nil:
		return &exitError{exitInterrupted, errNotStarted.message}
	case err == nil && !ok:
		return errNotStarted
	}
	return err
}

// commandWith returns the command line with a further flag, and without one that has a value. It
// does not repeat arguments that may contain a password.
func (c *cli) commandWith(flag, without string) string {
	words := []string{"gistmill"}
	for i, arg := range c.args {
		if without != "" && (arg == without || i > 0 && c.args[i-1] == without || strings.HasPrefix(arg, without+"=")) {
			continue
		}
		if strings.ContainsAny(arg, "@?") {
			return "the same command with " + flag
		}
		words = append(words, text.ShellWord(arg))
	}
	return strings.Join(append(words, flag), " ")
}

// describeEstimate returns the estimate of documents for a model in one line.
func (a *app) describeEstimate(e enqueuer.Estimate, model string) string {
	what := count(e.Documents, "document") + " to " + model
	if model == summarize.Extractive {
		return what + ": built in, no network, no cost"
	}
	s := describeCost(e, what+" at "+a.endpointText())
	if e.Unreadable > 0 {
		s += fmt.Sprintf("; %s of the sample cannot be read", count(e.Unreadable, "document"))
	}
	if e.Short > 0 {
		s += "; no call for " + a.shortDocuments(e)
	}
	return s
}

// shortDocuments names the documents of an estimate that have too few words.
func (a *app) shortDocuments(e enqueuer.Estimate) string {
	const most = 3
	s := count(e.Short, "document")
	if e.Sampled < e.Documents {
		s += " of the sample"
	}
	s += fmt.Sprintf(" with fewer than %s (--min-words): %s", count(int64(a.config.MinWords), "word"), strings.Join(e.ShortURIs[:min(most, len(e.ShortURIs))], ", "))
	if more := e.Short - most; more > 0 {
		s += fmt.Sprintf(" and %s more", number(more))
	}
	return text.TerminalLine(s)
}

// describeCost returns the tokens, cost and time of an estimate of something.
func describeCost(e enqueuer.Estimate, what string) string {
	if e.Sampled == 0 && e.Documents > 0 && e.CostUSD == nil {
		return what + ": cost unknown, because the documents cannot be read from here"
	}
	s := fmt.Sprintf("%s: about %s, %s tokens in, %s out", what, count(e.Calls, "call"), number(e.TokensIn), number(e.TokensOut))
	if e.Sampled < e.Documents {
		s += fmt.Sprintf(" (95 %% range %s to %s in, from a sample of %s)", number(e.TokensInLow), number(e.TokensInHigh), number(e.Sampled))
	}
	if e.CostUSD == nil {
		s += "; cost unknown (set the price of this model with --prices FILE)"
	} else {
		s += "; about " + text.USD(*e.CostUSD)
		if e.Service == string(llm.TierFlex) {
			s += " at the flex tier"
		}
		s += ", at most " + usdMost(*e.CostUSDMost)
	}
	switch {
	case e.Seconds == nil:
	case e.SecondsAtLimits != nil && *e.Seconds == *e.SecondsAtLimits:
		s += "; " + round(time.Duration(*e.Seconds*float64(time.Second))) + " at the rate limits"
	default:
		s += "; about " + round(time.Duration(*e.Seconds*float64(time.Second)))
	}
	return s
}

// otherTiers returns what the calls of an estimate cost at the service tiers that they do not ask
// for; "" if no such price is known. Batch prices are for comparison.
func otherTiers(e enqueuer.Estimate) string {
	var others []string
	for _, tier := range []struct {
		name llm.Tier
		cost *float64
	}{{llm.TierStandard, e.CostUSDStandard}, {llm.TierFlex, e.CostUSDFlex}, {llm.TierBatch, e.CostUSDBatch}} {
		if tier.cost != nil && *tier.cost > 0 && string(tier.name) != e.Service {
			others = append(others, string(tier.name)+" about "+text.USD(*tier.cost))
		}
	}
	if len(others) == 0 {
		return ""
	}
	return "other service tiers: " + strings.Join(others, ", ")
}

// dryRun prints what run and enqueue would do, and does nothing of it.
func (a *app) dryRun(ctx context.Context, args []string, flags *sourceFlags, force bool, output outputFlag) error {
	if slices.Contains(args, "-") {
		return &usageError{errors.New("--dry-run cannot take standard input, because it can be read only once: write it to a file")}
	}
	if err := a.checkService(); err != nil {
		return err
	}
	sources, err := flags.check(ctx, a, args)
	if err != nil {
		return err
	}
	if err := checkMatches(ctx, a, sources); err != nil {
		return err
	}
	rows := []planRow{}
	var sum enqueuer.Estimate
	for i, s := range sources {
		p, err := a.preview(ctx, s, flags, force)
		if err != nil {
			return err
		}
		row := a.planRow(p)
		rows = append(rows, row)
		if i == 0 {
			sum = row.Estimate
		} else {
			sum.Add(row.Estimate)
		}
	}
	return output.write(a.stdout, rows, func() error {
		for _, r := range rows {
			fmt.Fprintf(a.stdout, "%s: %s listed, %s to do, %s unchanged, %s dead\n  %s\n", text.TerminalLine(r.Source), count(r.Listed, "document"), number(r.Pending),
				number(r.Skipped), number(r.Dead), a.describeEstimate(r.Estimate, r.Model))
		}
		if len(rows) > 1 {
			fmt.Fprintf(a.stdout, "all sources\n  %s\n", a.describeEstimate(sum, rows[0].Model))
		}
		if others := otherTiers(sum); others != "" {
			fmt.Fprintf(a.stdout, "  %s\n", others)
		}
		return nil
	})
}

// preview returns the plan of a source, and writes nothing.
func (a *app) preview(ctx context.Context, s *opened, flags *sourceFlags, force bool) (*prepared, error) {
	src, err := s.take(ctx, a, flags, "")
	if err != nil {
		return nil, err
	}
	defer src.Close()
	profile, err := a.profileFor(ctx, src.URL())
	if err != nil {
		return nil, err
	}
	previewer, err := a.enqueuer()
	if err != nil {
		return nil, err
	}
	listed, stop := a.progress.listing(src.URL())
	plan, err := previewer.Preview(ctx, enqueuer.Request{Source: src, Profile: profile.Hash(), Force: force, Listed: listed})
	stop()
	if err != nil {
		return nil, err
	}
	flags.warnOfListing(a, s.Given, src, plan.Count.Listed)
	a.setService(&plan, a.config.IsSet)
	p := &prepared{Plan: &plan, source: src, profile: profile}
	p.estimate, err = a.estimate(ctx, src, profile, p.tier(), plan.Count.Pending, plan.Sample)
	return p, err
}

package main

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

// tokensPerWord is what a word of a summary takes in English, with room for other languages (OpenAI's rule of thumb:
// 100 tokens are 75 words).
const tokensPerWord = 1.5

// estimate is what a plan will cost. Where only a sample was read, figures are the sample's mean times the number of
// documents, and Low and High bound the input tokens at 95 % confidence.
type estimate struct {
	Documents     int64    `json:"documents"`
	Sampled       int64    `json:"sampled"`
	Unreadable    int64    `json:"unreadable_in_sample"`
	Calls         int64    `json:"calls"`
	TokensIn      int64    `json:"tokens_in"`
	TokensInLow   int64    `json:"tokens_in_low"`
	TokensInHigh  int64    `json:"tokens_in_high"`
	TokensOut     int64    `json:"tokens_out"`
	TokensOutMost int64    `json:"tokens_out_most"`
	CostUSD       *float64 `json:"cost_usd"` // null: the price is unknown
	CostUSDMost   *float64 `json:"cost_usd_most"`
	Seconds       *float64 `json:"seconds_at_limits"` // null: no limit is set
}

// counted is what one document would need.
type counted struct {
	calls, in, outMost int
	unreadable         bool
}

// estimate reads the sample and counts what would be sent, with the model's tokenizer.
func (a *app) estimate(ctx context.Context, src *source.Source, profile summarize.Profile, documents int64, sample []ledger.Entry) (estimate, error) {
	prices, err := a.prices()
	if err != nil {
		return estimate{}, err
	}
	engine, err := summarize.New(profile, a.window(prices, profile.Model))
	if err != nil {
		return estimate{}, err
	}
	extractor := extract.New(extract.Limits{Bytes: a.config.MaxDocumentBytes})
	defer extractor.Close()
	var mu sync.Mutex
	var all []counted
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, e := range sample {
		group.Go(func() error {
			c, err := countDocument(ctx, src, extractor, engine, e)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return estimate{}, err
	}
	return a.extrapolate(all, documents, profile, prices), nil
}

func countDocument(ctx context.Context, src *source.Source, extractor *extract.Extractor, engine summarize.Engine, e ledger.Entry) (counted, error) {
	raw, err := src.Fetch(ctx, source.Ref{URI: e.URI, Locator: e.Locator, Version: e.Version})
	if err == nil {
		var doc *extract.Document
		if doc, err = extractor.Extract(ctx, raw); err == nil {
			calls, in, out := engine.Estimate(summarize.Document{URI: e.URI, Title: doc.Title, Text: doc.Text})
			return counted{calls: calls, in: in, outMost: out}, nil
		}
	}
	if ctx.Err() != nil {
		return counted{}, ctx.Err()
	}
	return counted{unreadable: true}, nil
}

func (a *app) extrapolate(all []counted, documents int64, profile summarize.Profile, prices *llm.Prices) estimate {
	e := estimate{Documents: documents, Sampled: int64(len(all))}
	if len(all) == 0 {
		zero := 0.0
		e.CostUSD, e.CostUSDMost = &zero, &zero
		return e
	}
	var calls, in, out, outMost, squares float64
	n := float64(len(all))
	for _, c := range all {
		if c.unreadable {
			e.Unreadable++
		}
		calls += float64(c.calls)
		in += float64(c.in)
		squares += float64(c.in) * float64(c.in)
		outMost += float64(c.outMost)
		out += math.Min(float64(c.outMost), float64(c.calls)*float64(profile.Words)*tokensPerWord)
	}
	factor := float64(documents) / n
	// The error of a mean of a sample without replacement (Cochran, Sampling Techniques, 1977, ch. 2).
	variance := math.Max(0, squares/n-(in/n)*(in/n))
	margin := 1.96 * math.Sqrt(variance/n*math.Max(0, 1-n/float64(documents))) * float64(documents)
	e.Calls, e.TokensIn = int64(math.Ceil(calls*factor)), int64(math.Ceil(in*factor))
	e.TokensOut, e.TokensOutMost = int64(math.Ceil(out*factor)), int64(math.Ceil(outMost*factor))
	e.TokensInLow, e.TokensInHigh = int64(math.Max(in, in*factor-margin)), int64(in*factor+margin)
	e.CostUSD = cost(prices, profile.Model, e.TokensIn, e.TokensOut)
	e.CostUSDMost = cost(prices, profile.Model, e.TokensInHigh, e.TokensOutMost)
	minutes := 0.0
	if a.config.RPM > 0 {
		minutes = float64(e.Calls) / float64(a.config.RPM)
	}
	if a.config.TPM > 0 {
		minutes = math.Max(minutes, float64(e.TokensIn+e.TokensOutMost)/float64(a.config.TPM))
	}
	if minutes > 0 {
		seconds := minutes * 60
		e.Seconds = &seconds
	}
	return e
}

// cost of many calls. It is put together from million-token pieces: a price may rise for a single long prompt.
func cost(prices *llm.Prices, model string, in, out int64) *float64 {
	perIn, known := prices.Cost(model, llm.Usage{In: 1000})
	if !known {
		return nil
	}
	perOut, _ := prices.Cost(model, llm.Usage{Out: 1000})
	total := perIn*float64(in)/1000 + perOut*float64(out)/1000
	return &total
}

// text is an estimate in a line.
func (e estimate) text(model string) string {
	s := fmt.Sprintf("%s to %s: about %s, %s tokens in, %s out", count(e.Documents, "document"), model, count(e.Calls, "call"),
		number(e.TokensIn), number(e.TokensOut))
	if e.Sampled < e.Documents {
		s += fmt.Sprintf(" (from a sample of %s; in between %s and %s)", number(e.Sampled), number(e.TokensInLow), number(e.TokensInHigh))
	}
	if e.CostUSD == nil {
		s += "; cost unknown (no price for this model: --prices FILE)"
	} else {
		s += fmt.Sprintf("; about $%.4g, $%.4g at the most", *e.CostUSD, *e.CostUSDMost)
	}
	if e.Seconds != nil {
		s += "; " + round(time.Duration(*e.Seconds*float64(time.Second))) + " at the limits"
	}
	if e.Unreadable > 0 {
		s += fmt.Sprintf("; %s in it can't be read", count(e.Unreadable, "document"))
	}
	return s
}

// dryRunRow is a source's estimate as JSON.
type dryRunRow struct {
	planRow
	Model    string   `json:"model"`
	Estimate estimate `json:"estimate"`
}

// dryRun says what enqueue would do, and does none of it.
func (a *app) dryRun(ctx context.Context, sources []string, flags *sourceFlags, force bool, output outputFlag) error {
	rows := []dryRunRow{}
	for _, raw := range sources {
		row, err := a.dryRunOne(ctx, raw, flags, force)
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	return output.write(a.stdout, rows, func() error {
		for _, r := range rows {
			fmt.Fprintf(a.stdout, "%s: %s listed, %s to do, %s unchanged, %s dead\n  %s\n", text.TerminalLine(r.Source), count(r.Listed, "document"), number(r.Pending),
				number(r.Skipped), number(r.Dead), r.Estimate.text(r.Model))
		}
		return nil
	})
}

func (a *app) dryRunOne(ctx context.Context, raw string, flags *sourceFlags, force bool) (dryRunRow, error) {
	src, err := flags.open(ctx, a, raw, "")
	if err != nil {
		return dryRunRow{}, err
	}
	defer src.Close()
	profile, err := a.profileFor(ctx, src.URL())
	if err != nil {
		return dryRunRow{}, err
	}
	enqueuing, err := enqueuer.New(enqueuer.Config{Ledger: a.ledger, Log: a.log})
	if err != nil {
		return dryRunRow{}, err
	}
	plan, err := enqueuing.Preview(ctx, enqueuer.Request{Source: src, Profile: profile.Hash(), Force: force})
	if err != nil {
		return dryRunRow{}, err
	}
	e, err := a.estimate(ctx, src, profile, plan.Count.Pending, plan.Sample)
	if err != nil {
		return dryRunRow{}, err
	}
	row := dryRunRow{planRow: planRows([]enqueuer.Plan{plan})[0], Model: profile.Model, Estimate: e}
	row.Source = src.URL()
	return row, nil
}

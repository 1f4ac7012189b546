package enqueuer

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
)

// tokensPerWord is the number of tokens of a word of a summary in English, with a margin for other
// languages (OpenAI's rule of thumb: 100 tokens are 75 words).
const tokensPerWord = 1.5

// estimateReaders is the number of documents that an estimate reads at the same time.
const estimateReaders = 2

// Estimate is the expected work and cost of a plan. If only a sample was read, the figures are the
// sample's mean times the number of documents, and TokensInLow and TokensInHigh bound the input
// tokens at 95 % confidence. TokensOutMost assumes that every call uses its output limit, and
// CostUSDMost is the cost of TokensInHigh and TokensOutMost. Its JSON fields are an interface for
// users.
type Estimate struct {
	Documents     int64    `json:"documents"`
	Sampled       int64    `json:"sampled"`
	Unreadable    int64    `json:"unreadable_in_sample"`
	Short         int64    `json:"short_in_sample"` // fewer than MinWords, so no call
	Calls         int64    `json:"calls"`
	TokensIn      int64    `json:"tokens_in"`
	TokensInLow   int64    `json:"tokens_in_low"`
	TokensInHigh  int64    `json:"tokens_in_high"`
	TokensOut     int64    `json:"tokens_out"`
	TokensOutMost int64    `json:"tokens_out_most"`
	CostUSD       *float64 `json:"cost_usd"` // null: the price is unknown
	CostUSDMost   *float64 `json:"cost_usd_most"`
	// Service is the tier of CostUSD. The costs of the same calls at each tier follow; null: unknown,
	// or the model does not have the tier. CostUSDMost is at the standard price in any case, because
	// an endpoint may answer a flex call at it.
	Service         string   `json:"service"`
	CostUSDStandard *float64 `json:"cost_usd_standard"`
	CostUSDFlex     *float64 `json:"cost_usd_flex"`
	CostUSDBatch    *float64 `json:"cost_usd_batch"`
	// PricedUSDMost is the part of CostUSDMost at known prices. It is set even if another price is
	// unknown.
	PricedUSDMost float64 `json:"-"`
	// Unread reports that the cost is unknown although the price is known, because documents cannot
	// be read from here. The estimator does not set it.
	Unread bool `json:"-"`
	// ShortURIs are some of the documents that Short counts, sorted.
	ShortURIs []string `json:"-"`
	// SecondsAtLimits is the time that the rate limits allow; null: no limit is set.
	SecondsAtLimits *float64 `json:"seconds_at_limits"`
	// Seconds is the expected time. The estimator does not set it; null: unknown.
	Seconds *float64 `json:"seconds"`
}

// Free is the estimate of documents that cost nothing.
func Free(documents int64) Estimate {
	var zero float64
	return Estimate{
		Documents: documents, CostUSD: &zero, CostUSDMost: &zero,
		Service: string(llm.TierStandard), CostUSDStandard: &zero, CostUSDFlex: &zero, CostUSDBatch: &zero,
	}
}

// Add adds the estimate of another plan with the same profile.
func (e *Estimate) Add(o Estimate) {
	e.Documents += o.Documents
	e.Sampled += o.Sampled
	e.Unreadable += o.Unreadable
	e.Short += o.Short
	e.ShortURIs = append(e.ShortURIs[:len(e.ShortURIs):len(e.ShortURIs)], o.ShortURIs...)
	e.Calls += o.Calls
	e.TokensIn += o.TokensIn
	e.TokensInLow += o.TokensInLow
	e.TokensInHigh += o.TokensInHigh
	e.TokensOut += o.TokensOut
	e.TokensOutMost += o.TokensOutMost
	e.CostUSD, e.CostUSDMost = plus(e.CostUSD, o.CostUSD), plus(e.CostUSDMost, o.CostUSDMost)
	e.CostUSDStandard, e.CostUSDFlex, e.CostUSDBatch = plus(e.CostUSDStandard, o.CostUSDStandard), plus(e.CostUSDFlex, o.CostUSDFlex), plus(e.CostUSDBatch, o.CostUSDBatch)
	e.PricedUSDMost += o.PricedUSDMost
	e.Unread = e.Unread || o.Unread
	e.SecondsAtLimits, e.Seconds = plus(e.SecondsAtLimits, o.SecondsAtLimits), plus(e.Seconds, o.Seconds)
}

// Share returns the estimate of some of the documents, without a time.
func (e *Estimate) Share(documents int64) Estimate {
	if e.Documents == 0 {
		return *e
	}
	f := float64(documents) / float64(e.Documents)
	scale := func(n int64) int64 { return int64(math.Ceil(float64(n) * f)) }
	part := func(v *float64) *float64 {
		if v == nil {
			return nil
		}
		scaled := *v * f
		return &scaled
	}
	return Estimate{
		Documents: documents, Sampled: min(e.Sampled, documents), Calls: scale(e.Calls),
		TokensIn: scale(e.TokensIn), TokensInLow: scale(e.TokensInLow), TokensInHigh: scale(e.TokensInHigh),
		TokensOut: scale(e.TokensOut), TokensOutMost: scale(e.TokensOutMost),
		Service: e.Service, CostUSDStandard: part(e.CostUSDStandard), CostUSDFlex: part(e.CostUSDFlex), CostUSDBatch: part(e.CostUSDBatch),
		CostUSD: part(e.CostUSD), CostUSDMost: part(e.CostUSDMost), PricedUSDMost: e.PricedUSDMost * f, Unread: e.Unread,
	}
}

// plus adds two figures; nil is unknown.
func plus(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	sum := *a + *b
	return &sum
}

// Estimator estimates plans with one profile. All fields except Fallbacks, MinWords, RPM and
// TPM are required.
type Estimator struct {
	Profile summarize.Profile
	Prices  *llm.Prices
	// Tier is the service tier of the calls; empty is the standard tier.
	Tier llm.Tier
	// ContextTokens is the context window of the model.
	ContextTokens int
	// Fallbacks are further models that may be asked. The dearest of all models with a known price
	// decides the maximum cost.
	Fallbacks []string
	// MinWords is the number of words with fewer of which a document gets no call; 0: none.
	MinWords int
	// Headroom is the tokens that a call's cap has for the model's thought, and Thought the tokens
	// that its answers spend on it.
	Headroom, Thought int
	// Limits bounds the documents that are read.
	Limits extract.Limits
	// RPM and TPM are the rate limits per minute; 0 means not set.
	RPM, TPM int
}

// Estimate reads a sample of a plan's documents and counts their tokens with the model's tokenizer.
// It makes no call. documents is the number of documents in the plan.
func (e *Estimator) Estimate(ctx context.Context, src *source.Source, documents int64, sample []ledger.Entry) (Estimate, error) {
	engine, err := summarize.New(e.Profile, e.ContextTokens, summarize.WithThinking(e.Headroom), summarize.WithMinWords(e.MinWords))
	if err != nil {
		return Estimate{}, err
	}
	extractor := extract.New(e.Limits)
	defer extractor.Close()
	var mu sync.Mutex
	var needs []documentNeed
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(estimateReaders)
	for _, entry := range sample {
		group.Go(func() error {
			need, err := e.needOf(ctx, src, extractor, engine, entry)
			mu.Lock()
			defer mu.Unlock()
			needs = append(needs, need)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Estimate{}, err
	}
	return e.extrapolate(needs, documents), nil
}

// documentNeed is what one document needs.
type documentNeed struct {
	calls, tokensIn, tokensOutMost int
	unreadable                     bool
	short                          string // URI of a document with too few words
}

func (e *Estimator) needOf(ctx context.Context, src *source.Source, extractor *extract.Extractor, engine summarize.Engine, entry ledger.Entry) (documentNeed, error) {
	raw, err := src.Fetch(ctx, source.Ref{URI: entry.URI, Locator: entry.Locator, Version: entry.Version})
	if err == nil {
		var doc *extract.Document
		if doc, err = extractor.Extract(ctx, raw); err == nil {
			calls, in, out := engine.Estimate(summarize.Document{URI: entry.URI, Title: doc.Title, Text: doc.Text})
			need := documentNeed{calls: calls, tokensIn: in, tokensOutMost: out}
			if calls == 0 && e.Profile.Model != summarize.Extractive && text.CountWords(doc.Text, e.MinWords) < e.MinWords {
				need.short = entry.URI
			}
			return need, nil
		}
	}
	if ctx.Err() != nil {
		return documentNeed{}, ctx.Err()
	}
	return documentNeed{unreadable: true}, nil
}

// extrapolate scales the needs of a sample to the number of documents.
func (e *Estimator) extrapolate(needs []documentNeed, documents int64) Estimate {
	total := Estimate{Documents: documents, Sampled: int64(len(needs))}
	if len(needs) == 0 {
		return Free(documents)
	}
	var calls, in, out, outMost, squares float64
	n := float64(len(needs))
	for _, need := range needs {
		if need.unreadable {
			total.Unreadable++
		}
		if need.short != "" {
			total.Short++
			total.ShortURIs = append(total.ShortURIs, need.short)
		}
		calls += float64(need.calls)
		in += float64(need.tokensIn)
		squares += float64(need.tokensIn) * float64(need.tokensIn)
		outMost += float64(need.tokensOutMost)
		out += math.Min(float64(need.tokensOutMost), float64(need.calls)*(float64(e.Profile.Words)*tokensPerWord+float64(e.Thought)))
	}
	slices.Sort(total.ShortURIs)
	factor := float64(documents) / n
	// The error of the mean of a sample without replacement (Cochran, Sampling Techniques, 1977,
	// ch. 2).
	variance := math.Max(0, squares/n-(in/n)*(in/n))
	margin := 1.96 * math.Sqrt(variance/n*math.Max(0, 1-n/float64(documents))) * float64(documents)
	total.Calls, total.TokensIn = int64(math.Ceil(calls*factor)), int64(math.Ceil(in*factor))
	total.TokensOut, total.TokensOutMost = int64(math.Ceil(out*factor)), int64(math.Ceil(outMost*factor))
	total.TokensInLow, total.TokensInHigh = int64(math.Max(in, in*factor-margin)), int64(in*factor+margin)
	total.Service = string(cmp.Or(e.Tier, llm.TierStandard))
	atTier := func(tier llm.Tier) *float64 { return e.cost(e.Profile.Model, tier, total.TokensIn, total.TokensOut) }
	total.CostUSD, total.CostUSDStandard, total.CostUSDFlex, total.CostUSDBatch = atTier(e.Tier), atTier(llm.TierStandard), atTier(llm.TierFlex), atTier(llm.TierBatch)
	for _, model := range append([]string{e.Profile.Model}, e.Fallbacks...) {
		if cost := e.cost(model, llm.TierStandard, total.TokensInHigh, total.TokensOutMost); cost != nil {
			total.PricedUSDMost = max(total.PricedUSDMost, *cost)
		}
	}
	if total.CostUSD != nil {
		most := total.PricedUSDMost
		total.CostUSDMost = &most
	}
	minutes := 0.0
	if e.RPM > 0 {
		minutes = float64(total.Calls) / float64(e.RPM)
	}
	if e.TPM > 0 {
		minutes = math.Max(minutes, float64(total.TokensIn+total.TokensOutMost)/float64(e.TPM))
	}
	if minutes > 0 {
		seconds := minutes * 60
		total.SecondsAtLimits = &seconds
	}
	return total
}

// cost returns the price of many calls of a model at a tier in USD; nil if it is unknown. It uses
// the price of 1,000 tokens, because a single long prompt may have a higher one.
func (e *Estimator) cost(model string, tier llm.Tier, in, out int64) *float64 {
	perIn, known := e.Prices.Cost(model, tier, llm.Usage{In: 1000})
	if !known {
		return nil
	}
	perOut, _ := e.Prices.Cost(model, tier, llm.Usage{Out: 1000})
	total := perIn*float64(in)/1000 + perOut*float64(out)/1000
	return &total
}

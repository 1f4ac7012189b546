package enqueuer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

func TestEstimateExtrapolates(t *testing.T) {
	t.Parallel()
	prices, err := llm.NewPrices(nil)
	if err != nil {
		t.Fatal(err)
	}
	usd := func(f float64) *float64 { return &f }
	same := documentNeed{calls: 1, tokensIn: 1000, tokensOutMost: 400}
	for name, tc := range map[string]struct {
		model     string
		tier      llm.Tier
		fallbacks []string
		rpm, tpm  int
		needs     []documentNeed
		documents int64
		want      Estimate
	}{
		"nothing to do": {
			model: "gpt-4o-mini",
			want:  Estimate{CostUSD: usd(0), CostUSDMost: usd(0), CostUSDStandard: usd(0), CostUSDFlex: usd(0), CostUSDBatch: usd(0)},
		},
		"all documents": { // no error of the mean
			model: "unpriced", needs: []documentNeed{same, {calls: 3, tokensIn: 5000, tokensOutMost: 1200}}, documents: 2,
			want: Estimate{
				Documents: 2, Sampled: 2, Calls: 4, TokensIn: 6000, TokensInLow: 6000, TokensInHigh: 6000,
				TokensOut: 900, TokensOutMost: 1600,
			},
		},
		"a sample of equal documents": { // no variance
			model: "unpriced", rpm: 60, needs: []documentNeed{same, same}, documents: 120,
			want: Estimate{
				Documents: 120, Sampled: 2, Calls: 120, TokensIn: 120_000, TokensInLow: 120_000, TokensInHigh: 120_000,
				TokensOut: 27_000, TokensOutMost: 48_000, SecondsAtLimits: usd(120),
			},
		},
		"a dearer fallback": {
			model: "gpt-4o-mini", fallbacks: []string{"gpt-4", "unpriced"}, needs: []documentNeed{same}, documents: 1,
			want: Estimate{
				Documents: 1, Sampled: 1, Calls: 1, TokensIn: 1000, TokensInLow: 1000, TokensInHigh: 1000, TokensOut: 225, TokensOutMost: 400,
				CostUSDStandard: usd(1000*0.15e-6 + 225*0.6e-6), CostUSDBatch: usd((1000*0.15e-6 + 225*0.6e-6) / 2),
				CostUSD: usd(1000*0.15e-6 + 225*0.6e-6), CostUSDMost: usd(1000*30e-6 + 400*60e-6), PricedUSDMost: 1000*30e-6 + 400*60e-6,
			},
		},
		"the flex tier": { // the maximum is at the standard price
			model: "gpt-5-mini", tier: llm.TierFlex, needs: []documentNeed{same}, documents: 1,
			want: Estimate{
				Documents: 1, Sampled: 1, Calls: 1, TokensIn: 1000, TokensInLow: 1000, TokensInHigh: 1000, TokensOut: 225, TokensOutMost: 400,
				Service: "flex", CostUSDStandard: usd(1000*0.25e-6 + 225*2e-6), CostUSDFlex: usd((1000*0.25e-6 + 225*2e-6) / 2), CostUSDBatch: usd((1000*0.25e-6 + 225*2e-6) / 2),
				CostUSD: usd((1000*0.25e-6 + 225*2e-6) / 2), CostUSDMost: usd(1000*0.25e-6 + 400*2e-6), PricedUSDMost: 1000*0.25e-6 + 400*2e-6,
			},
		},
		"a model without the flex tier": {
			model: "gpt-4o-mini", tier: llm.TierFlex, needs: []documentNeed{same}, documents: 1,
			want: Estimate{
				Documents: 1, Sampled: 1, Calls: 1, TokensIn: 1000, TokensInLow: 1000, TokensInHigh: 1000, TokensOut: 225, TokensOutMost: 400,
				Service: "flex", CostUSDStandard: usd(1000*0.15e-6 + 225*0.6e-6), CostUSDBatch: usd((1000*0.15e-6 + 225*0.6e-6) / 2),
				PricedUSDMost: 1000*0.15e-6 + 400*0.6e-6,
			},
		},
		"an unknown price and a fallback with a price": {
			model: "unpriced", fallbacks: []string{"gpt-4"}, needs: []documentNeed{same}, documents: 1,
			want: Estimate{
				Documents: 1, Sampled: 1, Calls: 1, TokensIn: 1000, TokensInLow: 1000, TokensInHigh: 1000, TokensOut: 225, TokensOutMost: 400,
				PricedUSDMost: 1000*30e-6 + 400*60e-6,
			},
		},
		"a sample of different documents": {
			// Mean 1000 and standard deviation 1000: 1.96 · 1000/√2 · √(1-2/8) · 8 = 9601.
			model: "gpt-4o-mini", tpm: 5600, needs: []documentNeed{{calls: 1, tokensIn: 2000, tokensOutMost: 400}, {unreadable: true}}, documents: 8,
			want: Estimate{
				Documents: 8, Sampled: 2, Unreadable: 1, Calls: 4, TokensIn: 8000, TokensInLow: 2000, TokensInHigh: 17_601,
				TokensOut: 900, TokensOutMost: 1600, CostUSD: usd(8000*0.15e-6 + 900*0.6e-6), CostUSDMost: usd(17_601*0.15e-6 + 1600*0.6e-6),
				CostUSDStandard: usd(8000*0.15e-6 + 900*0.6e-6), CostUSDBatch: usd((8000*0.15e-6 + 900*0.6e-6) / 2),
				PricedUSDMost:   17_601*0.15e-6 + 1600*0.6e-6,
				SecondsAtLimits: usd(9600.0 / 5600 * 60),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.want.Service == "" {
				tc.want.Service = "standard"
			}
			e := Estimator{Profile: summarize.Profile{Model: tc.model, Words: 150}, Tier: tc.tier, Prices: prices, Fallbacks: tc.fallbacks, RPM: tc.rpm, TPM: tc.tpm}
			near := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })
			if diff := cmp.Diff(tc.want, e.extrapolate(tc.needs, tc.documents), near); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

package main

import (
	"fmt"
	"math"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

// checkBudget rejects a budget in USD if the price of a model that may be called is unknown.
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
	tier := llm.Tier(a.config.Service)
	if unknown := prices.Unknown(tier, a.endpoints().Models(p.Model)...); len(unknown) > 0 {
		return &config.InvalidError{Problems: []string{name + ": " + (&llm.UnpricedError{Models: unknown, Tier: tier}).Error()}}
	}
	return nil
}

// checkService rejects the flex tier if the model is known not to have it. The price table judges
// the makers' own endpoints only: others may serve a model of the same name in another way.
func (a *app) checkService() error {
	if llm.Tier(a.config.Service) != llm.TierFlex || a.config.Model == summarize.Extractive || !a.config.HasEndpoint() {
		return nil
	}
	prices, err := a.prices()
	if err != nil {
		return err
	}
	if !llm.KnownWithoutFlex(prices, a.config.BaseURL, a.config.Model) {
		return nil
	}
	return &config.InvalidError{Problems: []string{fmt.Sprintf("service: model %s has no flex tier: choose a model that has one, such as gpt-5-mini, or set --service standard", a.config.Model)}}
}

// setService makes the run of a plan use the service of the settings. Settings that are not set
// change nothing.
func (a *app) setService(p *enqueuer.Plan, isSet func(setting string) bool) {
	if isSet("service") {
		p.Service = &a.config.Service
	}
	if isSet("flex-fallback") {
		p.FlexFallback = &a.config.FlexFallback
	}
}

// budgetNano converts a budget in USD to nano-USD; nil means none.
func budgetNano(usd float64) *int64 {
	return positive(int64(math.Round(usd * 1e9)))
}

// positive returns nil for a setting that is not set.
func positive(n int64) *int64 {
	if n <= 0 {
		return nil
	}
	return &n
}

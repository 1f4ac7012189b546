package main

import (
	"math"

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
	if unknown := prices.Unknown(llm.TierStandard, a.endpoints().Models(p.Model)...); len(unknown) > 0 {
		return &config.InvalidError{Problems: []string{name + ": " + (&llm.UnpricedError{Models: unknown}).Error()}}
	}
	return nil
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

package main

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// budgetScenario sets a budget of half the cost of all documents.
func budgetScenario() scenario {
	const processes = 4
	about := "budget of half the estimate, 4 workers"
	return scenario{name: "budget", about: about, most: 3 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			documents := 400
			if s.bench.quick {
				documents = 150
			}
			source, err := s.documents(documents, 1000, 2000)
			if err != nil {
				return nil, err
			}
			// The answer has the length that the estimate assumes.
			if err := s.fake.set(ctx, map[string]any{"words": 75}); err != nil {
				return nil, err
			}
			var estimates []struct {
				Estimate struct {
					CostUSD *float64 `json:"cost_usd"`
				} `json:"estimate"`
			}
			if err := s.ask(ctx, &estimates, "enqueue", source, "--dry-run", "-o", "json"); err != nil {
				return nil, err
			}
			if len(estimates) != 1 || estimates[0].Estimate.CostUSD == nil {
				return nil, fmt.Errorf("the dry run has no estimate: %+v", estimates)
			}
			limit := *estimates[0].Estimate.CostUSD / 2
			if err := s.ask(ctx, nil, "enqueue", source, "--budget-usd", strconv.FormatFloat(limit, 'f', -1, 64)); err != nil {
				return nil, err
			}
			workers, err := s.workers(ctx, processes)
			if err != nil {
				return nil, err
			}
			watch, err := s.finish(ctx, "status", "--watch")
			if err != nil {
				return nil, err
			}
			for _, w := range workers { // wait until calls in flight have ended
				if err := w.Signal(syscall.SIGTERM); err != nil {
					return nil, err
				}
				if _, err := w.Wait(ctx); err != nil {
					return nil, err
				}
			}
			books, err := s.status(ctx)
			if err != nil {
				return nil, err
			}
			if books.CostUSD == nil {
				return nil, fmt.Errorf("the cost is unknown: %+v", books)
			}
			return []row{
				{what: about + ": settled cost",
					measured: fmt.Sprintf("%.6f of %.6f USD, %d of %d documents done", *books.CostUSD, limit, books.Documents.Done, documents),
					aim:      "≤ the cap", met: *books.CostUSD <= limit && books.Documents.Done > 0},
				{what: "… exit code of status --watch", measured: fmt.Sprint(watch.Code), aim: "5", met: watch.Code == 5},
				fact("… of the cap used", "%.1f %%", 100**books.CostUSD/limit),
			}, nil
		},
	}
}

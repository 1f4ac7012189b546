package main

import (
	"context"
	"fmt"
	"time"
)

// knownScenarios configure the workers with the endpoint's own limit.
func knownScenarios() []scenario {
	var all []scenario
	for _, processes := range []int{1, 2, 4, 8} {
		about := fmt.Sprintf("%d RPM known, %d workers", rpm, processes)
		if processes == 1 {
			about = fmt.Sprintf("%d RPM known, 1 worker", rpm)
		}
		all = append(all, known(fmt.Sprintf("known-%d", processes), about, processes, 0, nil))
	}
	return append(all,
		known("known-window", fmt.Sprintf("%d RPM known, in windows of a minute, 4 workers", rpm), 4, time.Minute,
			map[string]any{"limit_mode": "window"}),
		known("known-azure", fmt.Sprintf("%d RPM known, in windows of 1 s and 10 s, 4 workers", rpm), 4, 10*time.Second,
			map[string]any{"request_windows": []string{"1s", "10s"}}))
}

// known uses windows of a period, or a bucket where it is 0.
func known(name, about string, processes int, period time.Duration, more map[string]any) scenario {
	return scenario{name: name, about: about, most: 5 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			warm, steady := s.of(15*time.Second, 5*time.Second), s.of(time.Minute, 10*time.Second)
			if period == time.Minute {
				period = s.of(period, 10*time.Second)
			}
			limit := map[string]any{"rpm": rpm, "limit_start": "empty"}
			for name, value := range more {
				limit[name] = value
			}
			if limit["limit_mode"] == "window" {
				// Without it nothing would happen until the next window.
				limit["limit_period"], limit["limit_start"] = period.String(), "full"
			}
			workers, err := s.cluster(ctx, processes, enough(rpm/60, warm+period+steady, processes), 1000, 2000, limit, "--rpm", fmt.Sprint(rpm))
			if err != nil {
				return nil, err
			}
			interval, whole, err := s.watch(ctx, workers, warm, steady, period)
			if err != nil {
				return nil, err
			}
			return []row{
				atLeast(about+": admissible calls used", 0.97, float64(interval.Admitted), interval.AdmissibleRequests),
				atMost("… answered 429", 0.005, whole.Refused, whole.Calls),
			}, nil
		},
	}
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// unknownScenarios configure no limit: the workers must learn it.
func unknownScenarios() []scenario {
	const inFlight = 24
	// A limit that was not used before has a full bucket: ten seconds' worth.
	rate := map[string]any{"rpm": rpm, "limit_period": "10s", "limit_start": "full", "limit_headers": "none"}
	headers := map[string]any{"rpm": rpm, "limit_period": "10s", "limit_start": "full", "limit_headers": "openai"}
	byRate := func(i fakellm.Interval) float64 { return i.AdmissibleRequests }
	const slots = inFlight / 0.3 // a second
	bySlots := func(i fakellm.Interval) float64 { return slots * float64(i.To-i.From) }
	return []scenario{
		unknown("unknown-rate", fmt.Sprintf("%d RPM unknown, no headers, Retry-After, 4 workers", rpm), rpm/60, rpm/6, rate, byRate),
		unknown("unknown-in-flight", fmt.Sprintf("%d calls at once admitted, unknown, no headers, 4 workers", inFlight), slots, 0,
			map[string]any{"max_in_flight": inFlight, "limit_headers": "none"}, bySlots),
		unknown("unknown-headers", fmt.Sprintf("%d RPM unknown, x-ratelimit headers, 4 workers", rpm), rpm/60, rpm/6, headers, byRate),
	}
}

// unknown expects perSecond calls, and burst more at the beginning.
func unknown(name, about string, perSecond, burst float64, limit map[string]any, admissible func(fakellm.Interval) float64) scenario {
	const processes = 4
	return scenario{name: name, about: about, most: 4 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			warm, steady := s.of(40*time.Second, 10*time.Second), s.of(time.Minute, 10*time.Second)
			workers, err := s.cluster(ctx, processes, enough(1.1*perSecond, warm+steady, processes)+int(burst), 1000, 2000, limit)
			if err != nil {
				return nil, err
			}
			interval, whole, err := s.watch(ctx, workers, warm, steady, 0)
			if err != nil {
				return nil, err
			}
			all := perSecond*float64(whole.To-whole.From) + burst
			return []row{
				atLeast(about+": admissible calls used, once settled", 0.9, float64(interval.Admitted), admissible(interval)),
				fact("… used over the whole run", "%.1f %% (%d of %.0f)", 100*float64(whole.Admitted)/all, whole.Admitted, all),
				atMost("… answered 429 over the whole run", 0.02, whole.Refused, whole.Calls),
			}, nil
		},
	}
}

package main

import (
	"context"
	"fmt"
	"time"
)

// killedScenario kills one of two workers while it has many calls open. Each call takes two
// seconds.
func killedScenario() scenario {
	const timeout, processes = 10 * time.Second, 2
	about := fmt.Sprintf("%d RPM known, calls of 2 s, one of 2 workers killed", rpm)
	return scenario{name: "killed", about: about, most: 4 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			warm, watched := s.of(20*time.Second, 8*time.Second), s.of(60*time.Second, 25*time.Second)
			limit := map[string]any{"rpm": rpm, "limit_start": "empty", "latency": "2s"}
			workers, err := s.cluster(ctx, processes, enough(rpm/60, warm+watched, processes), 1000, 2000, limit,
				"--rpm", fmt.Sprint(rpm), "--concurrency", "64", "--request-timeout", timeout.String())
			if err != nil {
				return nil, err
			}
			if err := pause(ctx, warm); err != nil {
				return nil, err
			}
			before, err := s.fake.stats(ctx)
			if err != nil {
				return nil, err
			}
			from := time.Now().Unix()
			rate, err := s.fake.interval(ctx, from-5, from)
			if err != nil {
				return nil, err
			}
			workers[0].Kill()
			if err := pause(ctx, watched); err != nil {
				return nil, err
			}
			if err := alive(workers[1]); err != nil {
				return nil, err
			}
			to := time.Now().Unix() - 3
			seconds, err := s.fake.seconds(ctx, from, to)
			if err != nil {
				return nil, err
			}
			series := filled(seconds, from, to)
			after, ok := reaches(series, 0.97*rpm/60)
			return []row{
				within(about+": back at 97 % of the limit", 2*timeout, after, ok, fmt.Sprintf("not within %d s", len(series))),
				fact("… used in the five seconds before", "%.1f %% (%d of %.0f)",
					100*float64(rate.Admitted)/rate.AdmissibleRequests, rate.Admitted, rate.AdmissibleRequests),
				fact("… calls open when it was killed, of both", "%d", before.InFlight),
				atMost("… answered 429 afterwards", 0.005, sum(series).Refused, sum(series).Calls),
			}, nil
		},
	}
}

package main

import (
	"context"
	"fmt"
	"time"
)

// tokensScenario limits tokens: about 15 calls a second of documents of mixed sizes.
func tokensScenario() scenario {
	const tpm, processes = 2_000_000, 4
	return scenario{name: "tokens", about: "2,000,000 TPM known, documents of 0.5 to 12 KB, 4 workers", most: 4 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			warm, steady := s.of(20*time.Second, 6*time.Second), s.of(time.Minute, 10*time.Second)
			workers, err := s.cluster(ctx, processes, enough(20, warm+steady, processes), 500, 12_000,
				map[string]any{"tpm": tpm, "limit_start": "empty"}, "--tpm", fmt.Sprint(tpm))
			if err != nil {
				return nil, err
			}
			interval, whole, err := s.watch(ctx, workers, warm, steady, 0)
			if err != nil {
				return nil, err
			}
			return []row{
				atLeast("token-bound, documents of 0.5 to 12 KB, 4 workers: admissible charge used", 0.95, float64(interval.Charged), interval.AdmissibleTokens),
				atMost("… answered 429", 0.005, whole.Refused, whole.Calls),
			}, nil
		},
	}
}

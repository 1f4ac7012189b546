package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// refusedScenario answers every call with 429 for ten minutes, and then accepts all.
func refusedScenario() scenario {
	const documents, processes = 200, 2
	return scenario{name: "refused", about: "429s with Retry-After, 2 workers", aside: true, most: 15 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			retryAfter := s.of(20*time.Second, 5*time.Second)
			workers, err := s.cluster(ctx, processes, documents, 1000, 2000, map[string]any{
				"rate_429": 1, "wait_429": retryAfter.String(), "latency": "50ms",
			})
			if err != nil {
				return nil, err
			}
			if err := pause(ctx, s.bench.refusedFor); err != nil {
				return nil, err
			}
			if err := alive(workers...); err != nil {
				return nil, err
			}
			during, err := s.fake.stats(ctx)
			if err != nil {
				return nil, err
			}
			spent, err := s.attempts(ctx)
			if err != nil {
				return nil, err
			}
			books, err := s.status(ctx)
			if err != nil {
				return nil, err
			}
			if err := s.fake.set(ctx, map[string]any{"rate_429": 0}); err != nil {
				return nil, err
			}
			mended := time.Now()
			for first := true; first || books.State == "running"; first = false {
				if err := pause(ctx, time.Second); err != nil {
					return nil, fmt.Errorf("after the 429s: %w; %+v", err, books)
				}
				if books, err = s.status(ctx); err != nil {
					return nil, err
				}
			}
			about := fmt.Sprintf("%s of 429s with Retry-After, %d documents, %d workers", s.bench.refusedFor, documents, processes)
			return []row{
				none(about+": attempts spent", spent),
				none("… dead", books.Documents.Dead),
				{what: "… done afterwards",
					measured: fmt.Sprintf("%d of %d, %.0f s after the last 429", books.Documents.Done, documents, time.Since(mended).Seconds()),
					aim:      fmt.Sprint(documents), met: books.Documents.Done == documents},
				fact("… calls made meanwhile", "%d, %.0f times in each Retry-After", during.Outcomes[fakellm.OutcomeFault429],
					float64(during.Calls)/(s.bench.refusedFor.Seconds()/retryAfter.Seconds())),
			}, nil
		},
	}
}

// attempts returns the number of attempts spent on documents so far.
func (s *site) attempts(ctx context.Context) (n int64, err error) {
	err = s.place.DB.QueryRow(ctx, `SELECT coalesce(sum(attempts), 0) FROM run_documents`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count attempts: %w", err)
	}
	return n, nil
}

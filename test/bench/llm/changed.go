package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// changedScenarios halve and double the limit that the workers received at the start.
func changedScenarios() []scenario {
	return []scenario{
		changed("changed", fmt.Sprintf("%d RPM known, halved, then doubled, no headers, 4 workers", rpm), "none"),
		changed("changed-headers", fmt.Sprintf("%d RPM known, halved, then doubled, x-ratelimit headers, 4 workers", rpm), "openai"),
	}
}

func changed(name, about, headers string) scenario {
	const processes = 4
	return scenario{name: name, about: about, most: 6 * time.Minute,
		play: func(ctx context.Context, s *site) ([]row, error) {
			warm, watched := s.of(20*time.Second, 5*time.Second), s.of(75*time.Second, 20*time.Second)
			limit := map[string]any{"rpm": rpm, "limit_period": "10s", "limit_start": "empty", "limit_headers": headers}
			workers, err := s.cluster(ctx, processes, enough(rpm/60, warm+2*watched, processes), 1000, 2000, limit, "--rpm", fmt.Sprint(rpm))
			if err != nil {
				return nil, err
			}
			if err := pause(ctx, warm); err != nil {
				return nil, err
			}
			change := func(limit int) ([]fakellm.Second, error) {
				if err := s.fake.set(ctx, map[string]any{"rpm": limit}); err != nil {
					return nil, err
				}
				from := time.Now().Unix() + 1
				if err := pause(ctx, watched); err != nil {
					return nil, err
				}
				if err := alive(workers...); err != nil {
					return nil, err
				}
				seconds, err := s.fake.seconds(ctx, from, time.Now().Unix()-1)
				return filled(seconds, from, time.Now().Unix()-1), err
			}
			halved, err := change(rpm / 2)
			if err != nil {
				return nil, err
			}
			doubled, err := change(rpm)
			if err != nil {
				return nil, err
			}
			never := fmt.Sprintf("not within %.0f s", watched.Seconds())
			after, ok := staysWithin(halved, 1.05*rpm/2/60)
			again, back := reaches(doubled, 0.9*rpm/60)
			return []row{
				within(about+": back within the halved limit", time.Minute, after, ok, never),
				atMost("… answered 429 after the halving", 0.02, sum(halved).Refused, sum(halved).Calls),
				within("… at 90 % of the doubled limit", 0, again, back, never),
				fact("… answered 429 after the doubling", "%d of %d", sum(doubled).Refused, sum(doubled).Calls),
			}, nil
		},
	}
}

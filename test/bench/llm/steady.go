package main

import (
	"context"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program"
)

// rpm is the limit in most scenarios: 20 calls a second, which one process with a concurrency
// of 16 could exceed at 300 ms.
const rpm = 1200

// cluster plans documents, sets a limit that begins empty, and starts workers. There are more
// documents than the workers can do, so that no worker runs dry.
func (s *site) cluster(ctx context.Context, processes, documents, least, most int,
	limit map[string]any, flags ...string) ([]*program.Process, error) {
	source, err := s.documents(documents, least, most)
	if err != nil {
		return nil, err
	}
	if err := s.ask(ctx, nil, "enqueue", source); err != nil {
		return nil, err
	}
	if err := s.fake.set(ctx, limit); err != nil {
		return nil, err
	}
	return s.workers(ctx, processes, flags...)
}

// enough returns a number of documents that lasts for a time at a rate a second.
func enough(perSecond float64, t time.Duration, processes int) int {
	return int(perSecond*t.Seconds()) + 300*processes
}

// watch warms up, then waits for an interval of whole seconds (of whole periods, where they are
// given). It returns the endpoint's counts for the interval and for all calls until its end.
// The admissible number is known for the interval only: before the limit was set, every call
// was admissible.
func (s *site) watch(ctx context.Context, workers []*program.Process, warm, steady, period time.Duration,
) (interval, whole fakellm.Interval, err error) {
	if err := pause(ctx, warm); err != nil {
		return interval, whole, err
	}
	period = max(period, time.Second)
	from := time.Now().Add(period - 1).Truncate(period)
	to := from.Add(steady)
	// A call that arrived in the last second is counted when it has ended.
	if err := pause(ctx, time.Until(to)+2*time.Second); err != nil {
		return interval, whole, err
	}
	if err := alive(workers...); err != nil {
		return interval, whole, err
	}
	if interval, err = s.fake.interval(ctx, from.Unix(), to.Unix()); err != nil {
		return interval, whole, err
	}
	stats, err := s.fake.stats(ctx)
	if err != nil {
		return interval, whole, err
	}
	whole, err = s.fake.interval(ctx, stats.First.Unix(), to.Unix())
	return interval, whole, err
}

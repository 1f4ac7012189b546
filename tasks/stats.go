package tasks

import (
	"context"
	_ "embed" // the script
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed stats.lua
var statsScript string

//nolint:gochecknoglobals // a constant; its hash is computed once
var stats = redis.NewScript(statsScript)

const (
	// memorySample is the number of tasks of each list whose memory is measured, as in asynq.
	memorySample = 20
	// oldestSample is the number of tasks among which the oldest one is searched: a task that
	// was put back has lost its time.
	oldestSample = 10
)

// Stats are a queue's statistics for dashboards. Unlike asynq's own, they do not fail on a
// single ghost.
type Stats struct {
	Active, Pending, Scheduled, Retry, Archived, Completed int64
	// Processed and Failed are totals since the queue was created. No outcome of a worker
	// counts as a failure.
	Processed, Failed int64
	Paused            bool
	Bytes             int64         // approximate memory in Redis, from a sample
	Oldest            time.Duration // how long the oldest pending task has waited; 0: none
}

// Stats reads the statistics in one script.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	keys := []string{
		q.key("active"), q.key("pending"), q.key("scheduled"), q.key("retry"), q.key("archived"), q.key("completed"),
		q.key("processed"), q.key("failed"), q.key("paused"),
	}
	reply, err := stats.Run(ctx, q.redis, keys, q.key("t:"), memorySample, oldestSample).Slice()
	if err != nil {
		return Stats{}, fmt.Errorf("read the queue's statistics: %w", err)
	}
	n := make([]int64, len(reply))
	for i, v := range reply {
		if n[i], err = strconv.ParseInt(fmt.Sprint(v), 10, 64); err != nil {
			return Stats{}, fmt.Errorf("read the queue's statistics: %w", err)
		}
	}
	s := Stats{
		Active: n[0], Pending: n[1], Scheduled: n[2], Retry: n[3], Archived: n[4], Completed: n[5],
		Processed: n[6], Failed: n[7], Paused: n[8] > 0, Bytes: n[9],
	}
	for _, since := range n[11:] {
		s.Oldest = max(s.Oldest, time.Duration(n[10]-since))
	}
	return s, nil
}

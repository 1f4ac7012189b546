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

//nolint:gochecknoglobals // a constant; its hash is made once
var stats = redis.NewScript(statsScript)

const (
	// memorySample is how many tasks of each list stand for the others, as in asynq.
	memorySample = 20
	// oldestSample is how many are asked for the oldest one: a task that was put back has lost its time.
	oldestSample = 10
)

// Stats are what dashboards show of a queue. They fail for no single task, where asynq's own do.
type Stats struct {
	Active, Pending, Scheduled, Retry, Archived, Completed int64
	// Processed and Failed count for ever; nothing of ours is a failure to asynq.
	Processed, Failed int64
	Paused            bool
	Bytes             int64         // of Redis' memory, about: some tasks stand for the others
	Oldest            time.Duration // how long the oldest pending task has been pending; 0 when none is
}

// Stats reads them in one script.
func (q *Queue) Stats(ctx context.Context) (Stats, error) {
	keys := []string{
		q.key("active"), q.key("pending"), q.key("scheduled"), q.key("retry"), q.key("archived"), q.key("completed"),
		q.key("processed"), q.key("failed"), q.key("paused"),
	}
	reply, err := stats.Run(ctx, q.redis, keys, q.key("t:"), memorySample, oldestSample).Slice()
	if err != nil {
		return Stats{}, fmt.Errorf("read the queue's figures: %w", err)
	}
	n := make([]int64, len(reply))
	for i, v := range reply {
		if n[i], err = strconv.ParseInt(fmt.Sprint(v), 10, 64); err != nil {
			return Stats{}, fmt.Errorf("read the queue's figures: %w", err)
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

package tasks

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// clockSlack is by how much clocks may differ without harm: leases last 30 s.
	clockSlack = 2 * time.Second
	// slowAnswer is after how long an answer says too little about the time at which it was made.
	slowAnswer = 2 * time.Second
	// plausible is how far from now a number is still taken for a time.
	plausible = 10 * 365 * 24 * time.Hour
)

// clock moves the times that asynq writes to a queue, and asks it for, to the time of Redis. asynq takes them from the clock of
// its process. By a lease in the past the tasks of a worker that is minutes behind would be taken away from it again and again, and one
// that is ahead would take those of all others, and begin what is to wait.
type clock struct {
	keys  string       // the queue's begin so
	ahead atomic.Int64 // nanoseconds that this process is ahead of Redis; 0: near enough
}

// Synchronize measures by how much the clock of this process is ahead of Redis' (behind, if negative), and corrects what is written to
// the queue from then on. Less than some seconds counts as 0. Clocks are set at times: call it again every few seconds. On an error,
// or when Redis is too slow to tell, the last measure stands.
func (q *Queue) Synchronize(ctx context.Context) (ahead time.Duration, err error) {
	begun := time.Now()
	at, err := q.redis.Time(ctx).Result()
	if err != nil {
		return q.clock.difference(), fmt.Errorf("ask Redis for the time: %w", err)
	}
	took := time.Since(begun)
	if took > slowAnswer {
		return q.clock.difference(), nil
	}
	if ahead = begun.Add(took / 2).Sub(at); ahead.Abs() <= clockSlack+took/2 {
		ahead = 0
	}
	q.clock.ahead.Store(int64(ahead))
	return ahead, nil
}

func (c *clock) difference() time.Duration { return time.Duration(c.ahead.Load()) }

// DialHook changes nothing.
func (c *clock) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook changes nothing: asynq sends no times in pipelines.
func (c *clock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook corrects the times of the scripts and leases of the queue.
func (c *clock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if ahead := c.difference(); ahead != 0 && c.concerns(cmd.Args()) {
			correct(cmd.Args(), ahead, time.Now())
		}
		return next(ctx, cmd)
	}
}

// concerns says whether a command is one that asynq sends with times for the queue.
func (c *clock) concerns(args []any) bool {
	at := 0 // where the first key is
	switch name, _ := args[0].(string); strings.ToLower(name) {
	case "eval", "evalsha":
		at = 3
	case "zadd":
		at = 1
	}
	if at == 0 || len(args) <= at {
		return false
	}
	key, _ := args[at].(string)
	return strings.HasPrefix(key, c.keys)
}

// correct moves all arguments that are times, as Unix seconds or nanoseconds. asynq's other numbers (timeouts, limits, retries)
// are far from any time of these years.
func correct(args []any, ahead time.Duration, now time.Time) {
	seconds := int64(ahead.Round(time.Second) / time.Second)
	for i, arg := range args {
		switch n := arg.(type) {
		case int64:
			switch {
			case now.Sub(time.Unix(n, 0)).Abs() < plausible:
				args[i] = n - seconds
			case now.Sub(time.Unix(0, n)).Abs() < plausible:
				args[i] = n - int64(ahead)
			}
		case float64: // the score of a lease
			if now.Sub(time.Unix(int64(n), 0)).Abs() < plausible {
				args[i] = n - float64(seconds)
			}
		}
	}
}

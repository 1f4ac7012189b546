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
	// clockSlack is the difference between clocks that does no harm, because leases last 30 s.
	clockSlack = 2 * time.Second
	// slowAnswer is the round trip beyond which an answer says too little about the time.
	slowAnswer = 2 * time.Second
	// plausible is the distance from now within which a number counts as a time.
	plausible = 10 * 365 * 24 * time.Hour
)

// clock is a hook that shifts the times in asynq's commands to the clock of Redis. asynq takes
// them from the clock of its process. A worker minutes behind would write leases in the past
// and lose its tasks again and again. A worker minutes ahead would take the tasks of all
// others, and begin scheduled ones too early.
type clock struct {
	keys  string       // prefix of the queue's keys
	ahead atomic.Int64 // nanoseconds that this process is ahead of Redis; 0: close enough
}

// Synchronize measures how far the clock of this process is ahead of Redis' clock (behind, if
// negative), and from then on corrects the times that are written to the queue. A difference
// up to 2 s, plus half the round trip, counts as 0. Call it every few seconds, because clocks
// get adjusted. On an error, or if Redis answers too slowly to tell, the last measurement stays
// in force.
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

// DialHook implements [redis.Hook] and changes nothing.
func (c *clock) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements [redis.Hook] and changes nothing: asynq sends no times in
// pipelines.
func (c *clock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements [redis.Hook]. It corrects the times in the queue's scripts and leases.
func (c *clock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if ahead := c.difference(); ahead != 0 && c.concerns(cmd.Args()) {
			correct(cmd.Args(), ahead, time.Now())
		}
		return next(ctx, cmd)
	}
}

// concerns reports whether a command is of a kind in which asynq sends times of this queue.
func (c *clock) concerns(args []any) bool {
	at := 0 // position of the first key
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

// correct shifts all arguments that are times, in Unix seconds or nanoseconds. asynq's other
// numbers (timeouts, limits, retries) are far from any plausible time.
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

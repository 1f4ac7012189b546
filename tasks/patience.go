package tasks

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// dialPause grows by itself with each dial that fails, up to dialPauseMost.
	dialPause, dialPauseMost = 50 * time.Millisecond, time.Second
	// refusedPause follows a script that has failed.
	refusedPause = 500 * time.Millisecond
)

// patience makes whoever has failed with Redis wait: asynq asks again at once when Redis is down, or is up and takes nothing (it
// is full, or has become a replica), which would keep a core busy.
type patience struct{ failures atomic.Int64 }

// DialHook waits after a failed dial, longer each time.
func (p *patience) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err == nil {
			p.failures.Store(0)
			return conn, nil
		}
		rest(ctx, min(time.Duration(p.failures.Add(1))*dialPause, dialPauseMost))
		return nil, err
	}
}

// ProcessHook waits after a failed script, which is what asynq asks with; a new connection's first commands may well fail.
func (p *patience) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err != nil && strings.HasPrefix(cmd.Name(), "eval") && !isAnswer(err) {
			rest(ctx, refusedPause)
		}
		return err
	}
}

// isAnswer tells errors that are answers: no such key, a script that is to be sent whole, and asynq's own word for a task that
// is not there.
func isAnswer(err error) bool {
	return errors.Is(err, redis.Nil) || strings.HasPrefix(err.Error(), "NOSCRIPT") || strings.HasPrefix(err.Error(), "NOT FOUND")
}

// ProcessPipelineHook changes nothing: nobody sends pipelines in a loop.
func (p *patience) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func rest(ctx context.Context, d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

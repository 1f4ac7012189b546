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
	// dialPause is added to the pause with each dial that fails, up to maxDialPause.
	dialPause, maxDialPause = 50 * time.Millisecond, time.Second
	// scriptPause follows a script that failed.
	scriptPause = 500 * time.Millisecond
)

// pauseHook delays the return of commands that failed. asynq retries at once when Redis is
// down, or refuses writes because it is full or a replica; that would keep a core busy.
type pauseHook struct{ failures atomic.Int64 }

// DialHook implements [redis.Hook]. It waits after a failed dial, longer each time.
func (p *pauseHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := next(ctx, network, address)
		if err == nil {
			p.failures.Store(0)
			return conn, nil
		}
		sleep(ctx, min(time.Duration(p.failures.Add(1))*dialPause, maxDialPause))
		return nil, err
	}
}

// ProcessHook implements [redis.Hook]. It waits after a failed script: asynq polls with
// scripts. The first commands of a new connection may fail and must not wait.
func (p *pauseHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err != nil && strings.HasPrefix(cmd.Name(), "eval") && !isAnswer(err) {
			sleep(ctx, scriptPause)
		}
		return err
	}
}

// isAnswer reports whether an error is an answer: a missing key, a script that Redis does not
// have yet, or asynq's reply for a missing task.
func isAnswer(err error) bool {
	return errors.Is(err, redis.Nil) || strings.HasPrefix(err.Error(), "NOSCRIPT") || strings.HasPrefix(err.Error(), "NOT FOUND")
}

// ProcessPipelineHook implements [redis.Hook] and changes nothing: no pipeline is sent in a loop.
func (p *pauseHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func sleep(ctx context.Context, d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

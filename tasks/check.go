package tasks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// oldestRedis is the oldest that asynq is tested with, and what its scripts and ours need.
const oldestRedis = "6.2"

// UnfitRedisError says why a Redis would lose tasks or can't take any, and what to do.
type UnfitRedisError struct {
	Why     string
	Replica bool // which may pass, in a failover
}

func (e *UnfitRedisError) Error() string { return e.Why }

// CheckRedis looks whether the Redis is fit to hold a queue: new enough, writable, and evicting nothing. It fails with an *UnfitRedisError, and
// returns warnings about what may lose tasks at a restart, from where only the ledger brings them back. What a managed
// Redis does not tell is not held against it, with a warning.
func (q *Queue) CheckRedis(ctx context.Context) (warnings []string, err error) {
	info, err := q.redis.Info(ctx).Result()
	if err != nil {
		return []string{fmt.Sprintf("Redis does not say how it is set (%v): see that it is %s or newer, with maxmemory-policy noeviction and AOF on", err, oldestRedis)}, nil
	}
	return judge(info)
}

// judge reads the answer to INFO (https://redis.io/docs/latest/commands/info/).
func judge(info string) (warnings []string, err error) {
	is := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			is[name] = value
		}
	}
	if v := is["redis_version"]; v != "" && older(v, oldestRedis) {
		return nil, &UnfitRedisError{Why: fmt.Sprintf("Redis is version %s: use %s or newer", v, oldestRedis)}
	}
	if is["role"] == "slave" {
		return nil, &UnfitRedisError{Why: "this Redis is a replica, which takes no tasks: give the address of its primary, or a redis-sentinel:// one", Replica: true}
	}
	policy := is["maxmemory_policy"]
	switch {
	case policy == "" || policy == "noeviction":
	case is["maxmemory"] == "0":
		warnings = append(warnings, fmt.Sprintf("Redis has maxmemory-policy %s, which would throw tasks away once maxmemory is set: set it to noeviction", policy))
	case strings.HasPrefix(policy, "allkeys"):
		return nil, &UnfitRedisError{Why: fmt.Sprintf("Redis has maxmemory-policy %s and would throw tasks away when its memory is full: set it to noeviction", policy)}
	default:
		warnings = append(warnings, fmt.Sprintf("Redis has maxmemory-policy %s: set it to noeviction, which is what a queue needs", policy))
	}
	if is["aof_enabled"] == "0" {
		warnings = append(warnings, "Redis keeps no append-only file (AOF): after a restart the queue is empty until the server or the next enqueue brings it back from the ledger")
	}
	return warnings, nil
}

// older compares the first two numbers of versions; one that is none is not older.
func older(version, than string) bool {
	v, ok := numbers(version)
	t, _ := numbers(than)
	return ok && (v[0] < t[0] || v[0] == t[0] && v[1] < t[1])
}

func numbers(version string) (n [2]int, ok bool) {
	parts := strings.SplitN(version, ".", 3)
	for i := range n {
		if i >= len(parts) {
			return n, i > 0
		}
		var err error
		if n[i], err = strconv.Atoi(parts[i]); err != nil {
			return n, false
		}
	}
	return n, true
}

package tasks

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// oldestRedis is the oldest version that asynq is tested with. Its scripts and ours need it.
const oldestRedis = "6.2"

// UnfitRedisError says why a Redis would lose tasks or cannot take any, and what to do.
type UnfitRedisError struct {
	Why     string
	Replica bool // Redis is a replica; during a failover that may change
}

func (e *UnfitRedisError) Error() string { return e.Why }

// CheckRedis checks that Redis can hold a queue: it is new enough, writable and evicts no
// keys. Otherwise it fails with an *[UnfitRedisError]. It returns warnings about settings that
// may lose tasks at a restart, after which only the ledger can restore them. A managed Redis
// that does not report its settings is accepted with a warning.
func (q *Queue) CheckRedis(ctx context.Context) (warnings []string, err error) {
	info, err := q.redis.Info(ctx).Result()
	if err != nil {
		return []string{fmt.Sprintf("Redis does not report its settings (%v): make sure that it is version %s or newer, with maxmemory-policy noeviction and AOF on", err, oldestRedis)}, nil
	}
	return assess(info)
}

// assess reads the answer to INFO (https://redis.io/docs/latest/commands/info/).
func assess(info string) (warnings []string, err error) {
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

// older compares the first two numbers of two versions. A version that cannot be parsed is not
// older.
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

package tasks

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed count.lua
var countScript string

//nolint:gochecknoglobals // a constant; its hash is computed once
var count = redis.NewScript(countScript)

// freshLease is how long a lease must still last to show that its worker is alive: asynq grants
// 30 s and renews every 5 s, so such a lease was renewed within the last 7 s.
const freshLease = 23 * time.Second

// Counts are the numbers of tasks in a queue by place, at one moment.
type Counts struct {
	Pending, Active, Scheduled, Retry, Archived int64
	// Due counts scheduled tasks and retries whose time has come. A worker's asynq server
	// moves them to pending.
	Due    int64
	Paused bool
	// Doubtful holds the ids of active tasks whose lease does not show that its worker is alive,
	// with the lease's end by Redis' clock; the zero time if there is no lease. Leases are
	// written with the worker's clock: if that is behind, a live worker looks doubtful, but its
	// lease is still seen to be renewed.
	Doubtful map[string]time.Time
	// At is the time of Redis.
	At time.Time
}

// Ready returns the number of tasks that a worker could take now.
func (c Counts) Ready() int64 {
	if c.Paused {
		return 0
	}
	return c.Pending + c.Due
}

// Demand returns the number of tasks that workers are needed for: ready ones and active ones,
// including those whose worker died. A task that a worker takes moves from ready to active and
// leaves the sum unchanged. KEDA's scaling strategy `default` relies on that.
func (c Counts) Demand() int64 { return c.Active + c.Ready() }

// Leaseless returns the number of active tasks whose worker is dead: they have no lease, or a
// lapsed one.
func (c Counts) Leaseless() int64 {
	var n int64
	for _, end := range c.Doubtful {
		if end.Before(c.At.Add(-leaseSlack)) {
			n++
		}
	}
	return n
}

// Count counts the queue in one atomic script. asynq's own statistics fail as a whole on a
// single ghost.
func (q *Queue) Count(ctx context.Context) (Counts, error) {
	keys := []string{q.key("pending"), q.key("active"), q.key("lease"), q.key("scheduled"), q.key("retry"), q.key("archived"), q.key("paused")}
	reply, err := count.Run(ctx, q.redis, keys, int(freshLease.Seconds())).Slice()
	if err != nil {
		return Counts{}, fmt.Errorf("count the queue: %w", err)
	}
	c, err := readCounts(reply)
	if err != nil {
		return Counts{}, fmt.Errorf("count the queue: %w", err)
	}
	return c, nil
}

func readCounts(reply []any) (Counts, error) {
	const fixed = 9
	var n [fixed]int64
	if len(reply) < fixed || (len(reply)-fixed)%2 != 0 {
		return Counts{}, errors.New("Redis' answer is cut")
	}
	for i := range n {
		var ok bool
		if n[i], ok = reply[i].(int64); !ok {
			return Counts{}, fmt.Errorf("Redis' answer has %T for a number", reply[i])
		}
	}
	c := Counts{
		Pending: n[0], Active: n[1], Scheduled: n[2], Retry: n[3], Archived: n[4], Due: n[5] + n[6], Paused: n[7] > 0,
		At: time.Unix(n[8], 0), Doubtful: map[string]time.Time{},
	}
	for i := fixed; i < len(reply); i += 2 {
		id, _ := reply[i].(string)
		text, _ := reply[i+1].(string)
		end, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return Counts{}, fmt.Errorf("read the lease of task %s: %w", id, err)
		}
		c.Doubtful[id] = time.Time{}
		if end > 0 {
			c.Doubtful[id] = time.Unix(end, 0)
		}
	}
	return c, nil
}

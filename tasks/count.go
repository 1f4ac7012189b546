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

//nolint:gochecknoglobals // a constant; its hash is made once
var count = redis.NewScript(countScript)

// surelyAlive is how long a lease must still last to show by itself that its holder lived a moment ago: asynq gives 30 s and renews
// every 5, so this one was renewed in the last 7.
const surelyAlive = 23 * time.Second

// Counts are how many tasks are where, at one moment.
type Counts struct {
	Pending, Active, Scheduled, Retry, Archived int64
	// Due are scheduled tasks and retries whose time has come; a worker's server moves them to pending.
	Due    int64
	Paused bool
	// Doubtful are the active tasks whose leases do not show by themselves that their holders live, with the end of the lease by Redis'
	// clock; the zero time where there is none. Leases are written with the worker's clock: one that
	// is late can make a living holder doubtful, but does not keep its lease from growing.
	Doubtful map[string]time.Time
	// At is Redis' time.
	At time.Time
}

// Ready are the tasks that a worker could take now.
func (c Counts) Ready() int64 {
	if c.Paused {
		return 0
	}
	return c.Pending + c.Due
}

// Demand is what workers are needed for: what can be done now, and what is in work or was when its worker died. A task that is taken moves
// from one to the other and leaves the sum as it is, which the scaling strategy `default` of KEDA relies on.
func (c Counts) Demand() int64 { return c.Active + c.Ready() }

// Leaseless are the active tasks whose worker is dead: without a lease, or with one that has lapsed.
func (c Counts) Leaseless() int64 {
	var n int64
	for _, end := range c.Doubtful {
		if end.Before(c.At.Add(-leaseSlack)) {
			n++
		}
	}
	return n
}

// Count counts the queue in one atomic script. asynq's own figures fail as a whole on one id without a task.
func (q *Queue) Count(ctx context.Context) (Counts, error) {
	keys := []string{q.key("pending"), q.key("active"), q.key("lease"), q.key("scheduled"), q.key("retry"), q.key("archived"), q.key("paused")}
	reply, err := count.Run(ctx, q.redis, keys, int(surelyAlive.Seconds())).Slice()
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

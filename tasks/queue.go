package tasks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	// enqueuers is the number of goroutines that enqueue at once. On loopback, one enqueues
	// about 11,600 tasks/s and 64 about 14,100; over a network the round trip matters more.
	enqueuers = 16
	// maxRetry is never reached: no outcome counts as a failure to asynq, and the ledger
	// counts attempts.
	maxRetry = 1 << 30
	// timeout is a task's timeout for asynq, whose default is 30 minutes. Workers use contexts
	// of their own.
	timeout = 30 * 24 * time.Hour
)

// Queue is one asynq queue. It is safe for concurrent use.
type Queue struct {
	// Headers, if not nil, returns the headers of tasks that are enqueued with a context.
	Headers func(context.Context) map[string]string

	name      string
	redis     redis.UniversalClient
	client    *asynq.Client
	inspector *asynq.Inspector
	clock     *clock
}

// NewQueue returns a queue. The caller closes the client. A client must have one Queue per
// name, because each adds a hook that corrects times.
func NewQueue(client redis.UniversalClient, name string) *Queue {
	q := &Queue{name: name, redis: client, client: asynq.NewClientFromRedisClient(client), inspector: asynq.NewInspectorFromRedisClient(client)}
	q.clock = &clock{keys: q.key("")}
	client.AddHook(q.clock)
	return q
}

// Name returns the queue's name.
func (q *Queue) Name() string { return q.name }

// Redis returns the client.
func (q *Queue) Redis() redis.UniversalClient { return q.redis }

// CheckWrites checks that Redis takes writes now. A Redis that is full, or a replica, answers
// but takes none. CheckWrites changes nothing.
func (q *Queue) CheckWrites(ctx context.Context) error {
	// asynq renews leases with this command, so every worker is allowed to use it. XX changes
	// nothing, because there is no such member.
	if err := q.redis.ZAddXX(ctx, q.key("lease"), redis.Z{Member: "nobody"}).Err(); err != nil {
		return fmt.Errorf("check that Redis takes writes: %w", err)
	}
	return nil
}

func (q *Queue) key(suffix string) string { return "asynq:{" + q.name + "}:" + suffix }

// Enqueue adds the tasks that are not in the queue, and returns how many it added. It leaves a
// task whose id is in the queue, in any state, as it is.
func (q *Queue) Enqueue(ctx context.Context, all []Partition) (int, error) {
	var (
		mu       sync.Mutex
		added    int
		failures []error
		wait     sync.WaitGroup
		next     = make(chan Partition)
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var headers map[string]string
	if q.Headers != nil {
		headers = q.Headers(ctx)
	}
	for range min(enqueuers, len(all)) {
		wait.Go(func() {
			for p := range next {
				_, err := q.client.EnqueueContext(ctx, asynq.NewTaskWithHeaders(Type, p.Encode(), headers), asynq.TaskID(p.TaskID()), asynq.Queue(q.name),
					asynq.MaxRetry(maxRetry), asynq.Timeout(timeout))
				mu.Lock()
				switch {
				case err == nil:
					added++
				case !errors.Is(err, asynq.ErrTaskIDConflict):
					failures = append(failures, err)
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	for _, p := range all {
		select {
		case next <- p:
		case <-ctx.Done():
		}
	}
	close(next)
	wait.Wait()
	if len(failures) > 0 {
		return added, fmt.Errorf("enqueue: %w", failures[0])
	}
	return added, ctx.Err()
}

// State of a task in the queue.
type State string

// The states of a task. A Leaseless task is active without a lease, or with a lapsed one: its
// worker is dead.
const (
	Missing   State = ""
	Pending   State = "pending"
	Active    State = "active"
	Leaseless State = "leaseless"
	Scheduled State = "scheduled"
	Retrying  State = "retry"
	Archived  State = "archived"
	Completed State = "completed"
)

// leaseSlack is how long a lease must have lapsed, by the time of Redis, before its worker
// counts as dead. Leases are written with the worker's clock, corrected to that time (see
// [Queue.Synchronize]).
const leaseSlack = 2 * time.Second

// States returns the states of the tasks with the given ids, in their order.
func (q *Queue) States(ctx context.Context, ids []string) ([]State, error) {
	states := make([]*redis.StringCmd, len(ids))
	leases := make([]*redis.FloatCmd, len(ids))
	var at *redis.TimeCmd
	_, err := q.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		at = p.Time(ctx)
		for i, id := range ids {
			states[i] = p.HGet(ctx, q.key("t:")+id, "state")
			leases[i] = p.ZScore(ctx, q.key("lease"), id)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("look up tasks: %w", err)
	}
	before := float64(at.Val().Add(-leaseSlack).Unix())
	found := make([]State, len(ids))
	for i := range ids {
		found[i] = State(states[i].Val())
		if found[i] == Active && (leases[i].Err() != nil || leases[i].Val() < before) {
			found[i] = Leaseless
		}
	}
	return found, nil
}

// requeue moves an active task whose lease is missing or has lapsed back to the head of
// pending; asynq does so after up to 125 s. It removes a ghost, which no worker can work on
// but every count would include. KEYS: active, lease, pending, task. ARGV: id, time (Unix
// seconds) before which a lease has lapsed.
//
//nolint:gochecknoglobals // a constant; its hash is computed once
var requeue = redis.NewScript(`
local lease = redis.call("ZSCORE", KEYS[2], ARGV[1])
if lease and tonumber(lease) >= tonumber(ARGV[2]) then return 0 end
local ghost = redis.call("HEXISTS", KEYS[4], "msg") == 0
if not ghost and redis.call("HGET", KEYS[4], "state") ~= "active" then return 0 end
if redis.call("LREM", KEYS[1], 0, ARGV[1]) == 0 then return 0 end
redis.call("ZREM", KEYS[2], ARGV[1])
if ghost then
  redis.call("DEL", KEYS[4])
  return 0
end
redis.call("HSET", KEYS[4], "state", "pending")
redis.call("RPUSH", KEYS[3], ARGV[1])
return 1`)

// RecoverLapsed puts tasks of dead workers back to pending and returns how many. It removes
// ghosts. A task that is active without any lease is put back only if confirmed returns true
// for its id: asynq adds the lease in the script that takes the task, so a lease is missing
// only if Redis lost it. confirmed should return true for tasks that were already without a
// lease some seconds ago.
func (q *Queue) RecoverLapsed(ctx context.Context, confirmed func(id string) bool) (int, error) {
	now, err := q.redis.Time(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("ask Redis for the time: %w", err)
	}
	before := strconv.FormatInt(now.Add(-leaseSlack).Unix(), 10)
	ids, err := q.redis.ZRangeByScore(ctx, q.key("lease"), &redis.ZRangeBy{Min: "-inf", Max: "(" + before}).Result()
	if err != nil {
		return 0, fmt.Errorf("find lapsed tasks: %w", err)
	}
	active, err := q.redis.LRange(ctx, q.key("active"), 0, -1).Result()
	if err != nil {
		return 0, fmt.Errorf("find orphaned tasks: %w", err)
	}
	states, err := q.States(ctx, active)
	if err != nil {
		return 0, err
	}
	for i, id := range active {
		if (states[i] == Leaseless || states[i] == Missing) && confirmed(id) {
			ids = append(ids, id)
		}
	}
	recovered := 0
	for _, id := range ids {
		n, err := requeue.Run(ctx, q.redis, []string{q.key("active"), q.key("lease"), q.key("pending"), q.key("t:") + id}, id, before).Int()
		if err != nil {
			return recovered, fmt.Errorf("requeue task %s: %w", id, err)
		}
		recovered += n
	}
	return recovered, nil
}

// Remove deletes tasks from the queue. Tasks that a worker holds stay; the worker ends them.
func (q *Queue) Remove(ctx context.Context, all []Partition) error {
	for _, p := range all {
		err := q.inspector.DeleteTask(q.name, p.TaskID())
		if err != nil && !errors.Is(err, asynq.ErrTaskNotFound) && !errors.Is(err, asynq.ErrQueueNotFound) {
			states, lookErr := q.States(ctx, []string{p.TaskID()})
			if lookErr != nil {
				return lookErr
			}
			if states[0] != Active && states[0] != Leaseless && states[0] != Missing {
				return fmt.Errorf("remove task %s: %w", p.TaskID(), err)
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

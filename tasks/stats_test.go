package tasks_test

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/tasks"
)

func TestStats(t *testing.T) {
	t.Parallel()
	q, client := miniQueue(t)
	testStats(t, q, client)
}

// testStats compares with asynq's own statistics, and then adds a ghost, on which those fail.
func testStats(t *testing.T, q *tasks.Queue, client redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	read := func() tasks.Stats {
		t.Helper()
		s, err := q.Stats(ctx)
		must(t, err)
		return s
	}
	if got := read(); got != (tasks.Stats{}) {
		t.Errorf("an empty queue has %+v", got)
	}
	var all []tasks.Partition
	for id := range int64(30) {
		all = append(all, tasks.Partition{Run: "run", RunID: 1, ID: id + 1, Generation: 1, Profile: "hash"})
	}
	if _, err := q.Enqueue(ctx, all); err != nil {
		t.Fatal(err)
	}
	ids, err := client.LRange(ctx, "asynq:{counted}:pending", -1, -1).Result()
	must(t, err)
	must(t, client.HSet(ctx, "asynq:{counted}:t:"+ids[0], "pending_since", time.Now().Add(-time.Hour).UnixNano()).Err())
	must(t, client.Set(ctx, "asynq:{counted}:processed", 7, 0).Err())
	must(t, client.Set(ctx, "asynq:{counted}:failed", 2, 0).Err())
	inspector := asynq.NewInspectorFromRedisClient(client)
	must(t, inspector.PauseQueue("counted"))

	got := read()
	theirs, err := inspector.GetQueueInfo("counted")
	must(t, err)
	if got.Pending != 30 || got.Processed != 7 || got.Failed != 2 || !got.Paused || got.Active+got.Scheduled+got.Retry+got.Archived+got.Completed != 0 {
		t.Errorf("got %+v", got)
	}
	if (got.Oldest-theirs.Latency).Abs() > time.Minute || got.Oldest < 59*time.Minute {
		t.Errorf("the oldest is pending for %s, to asynq for %s", got.Oldest, theirs.Latency)
	}
	if got.Bytes != theirs.MemoryUsage || got.Bytes <= 0 {
		t.Errorf("%d bytes, to asynq %d", got.Bytes, theirs.MemoryUsage)
	}

	must(t, client.RPush(ctx, "asynq:{counted}:pending", "ghost").Err())
	if _, err := inspector.GetQueueInfo("counted"); err == nil {
		t.Log("asynq reads a queue with a ghost by now")
	}
	if got := read(); got.Pending != 31 || got.Oldest < 59*time.Minute {
		t.Errorf("with a ghost: %+v", got)
	}
}

package tasks_test

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/tasks"
)

// A ghost would stay in every count, and each worker that takes it leaves it active again.
func TestGhostsAreRemoved(t *testing.T) {
	t.Parallel()
	q, client := miniQueue(t)
	ctx := t.Context()
	_, err := q.Enqueue(ctx, []tasks.Partition{{Run: "r", RunID: 1, ID: 1, Generation: 1, Profile: "p"}})
	must(t, err)
	id := tasks.Partition{Run: "r", ID: 1, Generation: 1}.TaskID()
	key := func(suffix string) string { return "asynq:{counted}:" + suffix }
	lapsed := float64(time.Now().Add(-time.Minute).Unix())
	// The first is a ghost that a worker took, the second is a bare id, and the third is a task of
	// a dead worker.
	must(t, client.LPush(ctx, key("active"), "taken", "bare").Err())
	must(t, client.HSet(ctx, key("t:taken"), "state", "active").Err())
	must(t, client.RPopLPush(ctx, key("pending"), key("active")).Err())
	must(t, client.HSet(ctx, key("t:")+id, "state", "active").Err())
	must(t, client.ZAdd(ctx, key("lease"), redis.Z{Score: lapsed, Member: "taken"}, redis.Z{Score: lapsed, Member: id}).Err())
	n, err := q.RecoverLapsed(ctx, func(string) bool { return false })
	must(t, err)
	if c, err := q.Count(ctx); err != nil || n != 1 || c.Pending != 1 || c.Active != 1 {
		t.Errorf("after the first call %d were put back, and the queue has %+v (%v); want the task back and the bare id left", n, c, err)
	}
	_, err = q.RecoverLapsed(ctx, func(string) bool { return true })
	must(t, err)
	if c, err := q.Count(ctx); err != nil || c.Active != 0 || c.Demand() != 1 {
		t.Errorf("the queue has %+v (%v); want the task alone", c, err)
	}
	infos, err := asynq.NewInspectorFromRedisClient(client).ListPendingTasks("counted")
	if err != nil || len(infos) != 1 || infos[0].ID != id {
		t.Errorf("asynq lists %v (%v)", infos, err)
	}
}

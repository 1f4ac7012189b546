package tasks_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/tasks"
)

func miniQueue(t *testing.T) (*tasks.Queue, redis.UniversalClient) {
	t.Helper()
	return queueAt(t, "redis://"+miniredis.RunT(t).Addr())
}

func queueAt(t *testing.T, address string) (*tasks.Queue, redis.UniversalClient) {
	t.Helper()
	client, err := tasks.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return tasks.NewQueue(client, "counted"), client
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	q, client := miniQueue(t)
	testCount(t, q, client)
}

// testCount puts tasks into every state and counts them.
func testCount(t *testing.T, q *tasks.Queue, client redis.UniversalClient) {
	t.Helper()
	ctx := t.Context()
	count := func() tasks.Counts {
		t.Helper()
		c, err := q.Count(ctx)
		must(t, err)
		return c
	}
	if c := count(); c.Demand() != 0 || c.Paused || time.Since(c.At).Abs() > time.Minute {
		t.Fatalf("an empty queue has %+v", c)
	}
	put(ctx, t, client)
	c := count()
	if c.Pending != 3 || c.Active != 4 || c.Scheduled != 2 || c.Retry != 3 || c.Archived != 1 || c.Due != 3 {
		t.Errorf("counted %+v", c)
	}
	if c.Demand() != 4+3+3 || c.Ready() != 6 {
		t.Errorf("demand %d, ready %d; want 10 and 6", c.Demand(), c.Ready())
	}
	if _, alive := c.Doubtful["alive"]; alive || len(c.Doubtful) != 3 || !c.Doubtful["bare"].IsZero() {
		t.Errorf("doubtful are %v; want aging, lapsed and bare", c.Doubtful)
	}
	if c.Leaseless() != 2 {
		t.Errorf("%d leaseless; want lapsed and bare", c.Leaseless())
	}
	must(t, client.Set(ctx, "asynq:{counted}:paused", "1", 0).Err())
	if c := count(); !c.Paused || c.Demand() != 4 || c.Ready() != 0 {
		t.Errorf("a paused queue needs workers for its active tasks only: %+v", c)
	}
}

// put fills the keys of the queue `counted` as asynq does.
func put(ctx context.Context, t *testing.T, client redis.UniversalClient) {
	t.Helper()
	key := func(suffix string) string { return "asynq:{counted}:" + suffix }
	now := time.Now()
	at := func(d time.Duration) float64 { return float64(now.Add(d).Unix()) }
	_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.LPush(ctx, key("pending"), "p1", "p2", "p3")
		p.LPush(ctx, key("active"), "alive", "aging", "lapsed", "bare")
		p.ZAdd(ctx, key("lease"), redis.Z{Score: at(29 * time.Second), Member: "alive"},
			redis.Z{Score: at(9 * time.Second), Member: "aging"}, redis.Z{Score: at(-time.Minute), Member: "lapsed"})
		p.ZAdd(ctx, key("scheduled"), redis.Z{Score: at(-time.Second), Member: "s1"}, redis.Z{Score: at(time.Hour), Member: "s2"})
		p.ZAdd(ctx, key("retry"), redis.Z{Score: at(-time.Second), Member: "r1"}, redis.Z{Score: at(-time.Hour), Member: "r2"},
			redis.Z{Score: at(time.Hour), Member: "r3"})
		p.ZAdd(ctx, key("archived"), redis.Z{Score: at(0), Member: "a1"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCountWithoutRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	q, _ := queueAt(t, "redis://"+server.Addr())
	server.Close()
	if c, err := q.Count(t.Context()); err == nil {
		t.Errorf("counted %+v in a Redis that is gone", c)
	}
}

package tasks_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"

	"github.com/gistmill/gistmill/tasks"
)

// A worker with a wrong clock writes leases and due times on the clock of Redis.
func TestTimesAreOnTheClockOfRedis(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{
		"right": 0, "ahead": 5 * time.Minute, "behind": -5 * time.Minute, "a day behind": -24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := miniredis.RunT(t)
			at := time.Now().Add(-ahead) // does not advance
			m.SetTime(at)
			q, client := queueAt(t, "redis://"+m.Addr())
			ctx := t.Context()
			measured, err := q.Synchronize(ctx)
			must(t, err)
			if off := (measured - ahead).Abs(); off > 2*time.Second {
				t.Fatalf("measured %s", measured)
			}
			taken, handBack := make(chan struct{}, 1), make(chan struct{})
			server := asynq.NewServerFromRedisClient(client, asynq.Config{
				Queues: map[string]int{q.Name(): 1}, TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel,
				RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Minute },
				IsFailure:      func(error) bool { return false },
			})
			must(t, server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
				taken <- struct{}{}
				<-handBack
				return context.Canceled
			})))
			defer server.Shutdown()
			_, err = q.Enqueue(ctx, []tasks.Partition{{Run: "r", RunID: 1, ID: 1, Generation: 1, Profile: "p"}})
			must(t, err)
			<-taken
			id := tasks.Partition{Run: "r", ID: 1, Generation: 1}.TaskID()
			states, err := q.States(ctx, []string{id})
			must(t, err)
			lease, err := client.ZScore(ctx, "asynq:{counted}:lease", id).Result()
			must(t, err)
			if left := time.Unix(int64(lease), 0).Sub(at); states[0] != tasks.Active || left < 25*time.Second || left > 60*time.Second {
				t.Errorf("the task is %s, with a lease of %s", states[0], left)
			}
			n, err := q.RecoverLapsed(ctx, func(string) bool { return true })
			must(t, err)
			if n != 0 {
				t.Error("a task was taken from a worker that lives")
			}
			close(handBack)
			retries := func() int64 {
				c, err := q.Count(ctx)
				must(t, err)
				return c.Retry
			}
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for retries() == 0 {
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
			due, err := client.ZScore(ctx, "asynq:{counted}:retry", id).Result()
			must(t, err)
			if in := time.Unix(int64(due), 0).Sub(at); in < 55*time.Second || in > 90*time.Second {
				t.Errorf("due in %s by the time of Redis, want a minute", in)
			}
		})
	}
}

func TestSlowAnswerIsNotMeasured(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	q, _ := queueAt(t, "redis://"+m.Addr())
	m.SetTime(time.Now().Add(time.Hour))
	before, err := q.Synchronize(t.Context())
	must(t, err)
	m.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	after, err := q.Synchronize(ctx)
	if err == nil || after != before || before > -59*time.Minute {
		t.Errorf("measured %s, and without Redis %s (%v); want the last measurement to stay", before, after, err)
	}
}

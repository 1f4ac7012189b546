package tasks_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// A script that Redis refuses returns late, because asynq would retry at once. An answer returns at
// once, even if it is an error.
func TestFailedScriptsWait(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	_, client := queueAt(t, "redis://"+m.Addr())
	took := func(ctx context.Context) (time.Duration, error) {
		begun := time.Now()
		err := client.Eval(ctx, `return redis.call("GET", "nothing")`, nil).Err()
		return time.Since(begun), err
	}
	must(t, client.Ping(t.Context()).Err())
	if d, err := took(t.Context()); !errors.Is(err, redis.Nil) || d > 400*time.Millisecond {
		t.Errorf("a missing key took %s (%v)", d, err)
	}
	m.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	if d, err := took(t.Context()); err == nil || d < 400*time.Millisecond {
		t.Errorf("a script on a full Redis took %s (%v)", d, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if d, err := took(ctx); err == nil || d > 400*time.Millisecond {
		t.Errorf("with a deadline of 50 ms it took %s (%v)", d, err)
	}
}

func TestCheckWrites(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	q, _ := queueAt(t, "redis://"+m.Addr())
	must(t, q.CheckWrites(t.Context()))
	if keys := m.Keys(); len(keys) != 0 {
		t.Errorf("it wrote %v", keys)
	}
	m.SetError("READONLY You can't write against a read only replica.")
	if err := q.CheckWrites(t.Context()); err == nil {
		t.Error("a replica takes writes")
	}
}

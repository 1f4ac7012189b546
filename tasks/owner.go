package tasks

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// OwnerKey is the key in Redis that holds the queue's owner: the random mark by which the
// ledger that its tasks refer to knows this queue.
func (q *Queue) OwnerKey() string { return "gistmill:{" + q.name + "}:ledger" }

// Owner returns the queue's owner. It is empty if there is none, as in a Redis that is new or
// was flushed.
func (q *Queue) Owner(ctx context.Context) (string, error) {
	owner, err := q.redis.Get(ctx, q.OwnerKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read the owner of queue %s: %w", q.name, err)
	}
	return owner, nil
}

// SetOwner sets the queue's owner unless it has one.
func (q *Queue) SetOwner(ctx context.Context, owner string) error {
	if err := q.redis.SetNX(ctx, q.OwnerKey(), owner, 0).Err(); err != nil {
		return fmt.Errorf("set the owner of queue %s: %w", q.name, err)
	}
	return nil
}

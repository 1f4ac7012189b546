package tasks

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// MarkKey is where a queue's mark stands in Redis: it says whose ledger the tasks refer to.
func (q *Queue) MarkKey() string { return "gistmill:{" + q.name + "}:ledger" }

// Mark reads the queue's mark; empty where there is none, as in a Redis that is new or was flushed.
func (q *Queue) Mark(ctx context.Context) (string, error) {
	mark, err := q.redis.Get(ctx, q.MarkKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read the mark of queue %s: %w", q.name, err)
	}
	return mark, nil
}

// PutMark marks the queue unless it is marked already.
func (q *Queue) PutMark(ctx context.Context, mark string) error {
	if err := q.redis.SetNX(ctx, q.MarkKey(), mark, 0).Err(); err != nil {
		return fmt.Errorf("mark queue %s: %w", q.name, err)
	}
	return nil
}

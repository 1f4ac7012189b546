// Package servers gives a benchmark a place of its own on a shared PostgreSQL and Redis.
//
// It owns a schema and a queue's name, and deletes both. It does not start or stop servers.
package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// A Place is a schema and the name of a queue. It is not safe for concurrent use.
type Place struct {
	Name  string    // of the schema and the queue
	Store string    // URL for programs: they see the schema only
	Redis string    // URL
	DB    *pgx.Conn // in the schema

	redis *redis.Client
}

// Open creates a place.
func Open(ctx context.Context, store, redisURL string) (*Place, error) {
	if store == "" || redisURL == "" {
		return nil, errors.New("name the servers by -store and -redis, or by GISTMILL_TEST_POSTGRES and GISTMILL_TEST_REDIS (`make services` starts both)")
	}
	p := &Place{Name: "bench_" + strings.ToLower(rand.Text()), Redis: redisURL}
	address, err := url.Parse(store)
	if err != nil {
		return nil, err
	}
	query := address.Query()
	query.Set("search_path", p.Name)
	address.RawQuery = query.Encode()
	p.Store = address.String()
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return nil, err
	}
	if p.DB, err = pgx.Connect(ctx, p.Store); err != nil {
		return nil, fmt.Errorf("reach PostgreSQL: %w", err)
	}
	if _, err := p.DB.Exec(ctx, `CREATE SCHEMA `+p.Name); err != nil {
		return nil, errors.Join(fmt.Errorf("make a schema: %w", err), p.DB.Close(ctx))
	}
	p.redis = redis.NewClient(options)
	return p, nil
}

// Environment returns the settings that gistmill needs to work here.
func (p *Place) Environment() []string {
	return []string{"GISTMILL_STORE=" + p.Store, "GISTMILL_REDIS=" + p.Redis, "GISTMILL_QUEUE=" + p.Name}
}

// Describe returns the servers' versions and settings.
func (p *Place) Describe(ctx context.Context) (string, error) {
	var postgres, fsync string
	if err := p.DB.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync')`).Scan(&postgres, &fsync); err != nil {
		return "", fmt.Errorf("ask PostgreSQL: %w", err)
	}
	info, err := p.redis.InfoMap(ctx, "server").Result()
	if err != nil {
		return "", fmt.Errorf("reach Redis: %w", err)
	}
	return fmt.Sprintf("PostgreSQL %s (fsync %s), Redis %s, on the same machine",
		strings.Fields(postgres)[0], fsync, info["Server"]["redis_version"]), nil
}

// Close deletes everything that was left on the servers.
func (p *Place) Close(ctx context.Context) error {
	_, err := p.DB.Exec(ctx, `DROP SCHEMA `+p.Name+` CASCADE`)
	err = errors.Join(err, p.DB.Close(ctx))
	keys := p.redis.Scan(ctx, 0, "asynq:{"+p.Name+"}:*", 1000).Iterator()
	for keys.Next(ctx) {
		err = errors.Join(err, p.redis.Del(ctx, keys.Val()).Err())
	}
	return errors.Join(err, keys.Err(), p.redis.SRem(ctx, "asynq:queues", p.Name).Err(), p.redis.Close())
}

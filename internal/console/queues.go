package console

import (
	"net/http"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// queues are asynqmon's pages, read-only. Payloads are not shown: ours are references that say nothing to people, and a Redis that is
// shared may hold those of others.
func queues(client redis.UniversalClient) http.Handler {
	return asynqmon.New(asynqmon.Options{
		RootPath: QueuesPath, RedisConnOpt: sharedClient{client}, ReadOnly: true,
		PayloadFormatter: asynqmon.PayloadFormatterFunc(func(string, []byte) string { return hidden }),
		ResultFormatter:  asynqmon.ResultFormatterFunc(func(string, []byte) string { return hidden }),
	})
}

const hidden = "(not shown)"

// sharedClient hands out a client that exists, where asynqmon would make its own.
type sharedClient struct{ client redis.UniversalClient }

// MakeRedisClient is asynq's interface.
func (s sharedClient) MakeRedisClient() any { return s.client }

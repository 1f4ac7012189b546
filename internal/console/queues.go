package console

import (
	"net/http"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

// queues returns asynqmon's pages, read-only. It hides payloads: gistmill's are references without
// meaning for people, and a shared Redis may hold those of other programs.
func queues(client redis.UniversalClient) http.Handler {
	return asynqmon.New(asynqmon.Options{
		RootPath: QueuesPath, RedisConnOpt: sharedClient{client}, ReadOnly: true,
		PayloadFormatter: asynqmon.PayloadFormatterFunc(func(string, []byte) string { return hidden }),
		ResultFormatter:  asynqmon.ResultFormatterFunc(func(string, []byte) string { return hidden }),
	})
}

const hidden = "(not shown)"

// sharedClient makes asynqmon use an existing client instead of its own.
type sharedClient struct{ client redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (s sharedClient) MakeRedisClient() any { return s.client }

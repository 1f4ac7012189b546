//go:build benchmark

package limiter

import (
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/internal/llm"
)

// benchmarkRedis returns a real server: the cost of the limiter is that of its scripts there.
func benchmarkRedis(b *testing.B) redis.UniversalClient {
	b.Helper()
	o, err := redis.ParseURL(os.Getenv("GISTMILL_TEST_REDIS"))
	if err != nil {
		b.Fatal("GISTMILL_TEST_REDIS: ", err)
	}
	o.DisableIdentity, o.PoolSize = true, 64
	client := redis.NewClient(o)
	b.Cleanup(func() {
		for keys := client.Scan(b.Context(), 0, "gistmill:limiter:*", 0).Iterator(); keys.Next(b.Context()); {
			client.Del(b.Context(), keys.Val())
		}
		client.Close()
	})
	return client
}

// benchmarkLimiter acquires and ends permits from 64 goroutines.
func benchmarkLimiter(b *testing.B, l Config) {
	b.Helper()
	l.Redis, l.Endpoint, l.MaxInFlight, l.Timeout = benchmarkRedis(b), b.Name(), 64, time.Minute
	limiter := New(l)
	call := llm.Call{Model: "m", InputTokens: func() int { return 500 }, OutputTokens: 400, CallWait: time.Hour}
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, err := limiter.Acquire(b.Context(), call)
			if err != nil {
				b.Error(err)
				return
			}
			p.Done(llm.Outcome{Usage: llm.Usage{In: 500, Out: 100}})
		}
	})
}

// BenchmarkLimiterLimited acquires and ends a permit under limits that are never reached.
func BenchmarkLimiterLimited(b *testing.B) {
	benchmarkLimiter(b, Config{RPM: 1_000_000_000, TPM: 2_000_000_000})
}

// BenchmarkLimiterFree does the same while no limit is known.
func BenchmarkLimiterFree(b *testing.B) { benchmarkLimiter(b, Config{}) }

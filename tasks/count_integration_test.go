//go:build integration

package tasks_test

import (
	"os"
	"testing"
)

func TestCountOnRedis(t *testing.T) {
	address := os.Getenv("GISTMILL_TEST_REDIS")
	if address == "" {
		t.Fatal("GISTMILL_TEST_REDIS is not set: make services")
	}
	q, client := queueAt(t, address)
	for _, place := range []string{"pending", "active", "lease", "scheduled", "retry", "archived", "paused"} {
		if err := client.Del(t.Context(), "asynq:{counted}:"+place).Err(); err != nil {
			t.Fatal(err)
		}
	}
	testCount(t, q, client)
}

func TestStatsOnRedis(t *testing.T) {
	q, client := queueAt(t, os.Getenv("GISTMILL_TEST_REDIS"))
	keys, err := client.Keys(t.Context(), "asynq:{counted}:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if err := client.Del(t.Context(), key).Err(); err != nil {
			t.Fatal(err)
		}
	}
	testStats(t, q, client)
}

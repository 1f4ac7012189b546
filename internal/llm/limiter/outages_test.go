package limiter

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// An outage is known to all processes until the model answers, at whichever endpoint.
func TestOutages(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	server.SetTime(begun)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	one := New(Config{Redis: client, Endpoint: "https://a.test/v1", Key: "k"})
	two := New(Config{Redis: client, Endpoint: "https://b.test/v1", Key: "k"})
	list := func(want int) []Outage {
		t.Helper()
		all, err := Outages(t.Context(), client)
		if err != nil || len(all) != want {
			t.Fatalf("outages %+v, %v, want %d", all, err, want)
		}
		return all
	}
	list(0)
	since := begun.Add(-time.Hour)
	for range 2 {
		if err := one.Lost(t.Context(), "m", since, "503"); err != nil {
			t.Fatal(err)
		}
	}
	server.SetTime(begun.Add(7 * time.Minute))
	if o := list(1)[0]; o.Model != "m" || o.Endpoint != "a.test" || !o.Since.Equal(since) || o.Cause != "503" || o.Ago != 7*time.Minute {
		t.Errorf("the outage is %+v", o)
	}
	if err := two.Found(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	list(1)
	if err := two.Found(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	list(0)
}

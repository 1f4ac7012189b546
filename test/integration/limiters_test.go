//go:build integration

package integration

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/llm/limiter"
	"github.com/gistmill/gistmill/tasks"
)

// TestLimitersAreRead: the scripts that list and read limiters work on a real Redis as on the
// embedded one.
func TestLimitersAreRead(t *testing.T) {
	t.Parallel()
	client, err := tasks.Dial(shared.redis)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	host := rand.Text() + ".test"
	l := limiter.New(limiter.Config{
		Redis: client, Endpoint: "http://" + host + "/v1", Key: "canary", MaxInFlight: 20, Timeout: time.Minute, RPM: 60, TPM: 90_000,
	})
	call := llm.Call{Model: "m", InputTokens: func() int { return 500 }, OutputTokens: 400, CallWait: time.Minute}
	answered, err := l.Acquire(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	pass(50 * time.Millisecond) // what the call takes
	answered.Done(llm.Outcome{Usage: llm.Usage{In: 500, Out: 100}})
	all, err := limiter.List(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Endpoint != host {
			continue
		}
		if s.Model != "m" || s.RPM != 60 || s.TPM != 90_000 || !s.Limited || s.InFlight != 0 || s.Tokens != 900 ||
			s.Latency < 50*time.Millisecond || s.Latency > 10*time.Second || s.Wait <= 0 || s.Wait > time.Second {
			t.Errorf("got %+v", s)
		}
		return
	}
	t.Errorf("the limiter is not in the list: %+v", all)
}

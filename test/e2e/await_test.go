//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"
)

// patience bounds every wait that is not itself measured. It is long enough for a loaded
// machine; a passing test never waits that long.
const patience = 3 * time.Minute

// background returns a context for actions after the test's own context has ended.
func background() context.Context { return context.Background() }

// await waits until a condition is met. met returns an error that says what is missing. A
// component of the cluster that has ended ends the test too.
func await(t *testing.T, what string, within time.Duration, met func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := met()
		if err == nil {
			return
		}
		if failure := shared.cluster.Failed(); failure != nil {
			t.Fatalf("wait for %s: %v", what, failure)
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s: %v", within, what, err)
		}
	}
}

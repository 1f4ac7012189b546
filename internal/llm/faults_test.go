package llm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// TestEverythingAtOnce sends documents to an endpoint with every fault at its usual rate. With
// retries of what is transient each one is answered, and no failure is classified as the fault of
// a document or of the settings.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	fake, c := newFake(t, func(f *fakellm.Config) {
		f.Seed = 3
		f.Rate500, f.Rate502HTML, f.RateError200, f.RateNoChoice = 0.05, 0.02, 0.02, 0.01
		f.RateTruncate, f.RateReset, f.RateHang, f.Rate429 = 0.02, 0.02, 0.01, 0.02
		f.RetryAfter, f.Wait429 = "ms", fakellm.Duration(5*time.Millisecond)
	}, Config{MaxConnections: 8, Timeout: 2 * time.Second, CallWait: time.Minute})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 25 {
				if err := untilAnswered(t.Context(), c, testRequest(fmt.Sprintf("Document %d of worker %d is about the tides and the moon above them.", i, worker))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	st := fake.Stats()
	if st.Distinct != 200 || st.Outcomes[fakellm.OutcomeOK] != 200 {
		t.Errorf("%+v", st)
	}
	if st.Outcomes[fakellm.OutcomeBad] != 0 || len(st.Outcomes) < 6 {
		t.Errorf("outcomes %v", st.Outcomes)
	}
}

// untilAnswered makes up to ten calls, as a worker does with its backoff.
func untilAnswered(ctx context.Context, c *Client, r Request) error {
	var failed *Error
	for range 10 {
		_, err := c.Complete(ctx, r)
		if err == nil {
			return nil
		}
		if !errors.As(err, &failed) || failed.Class != Transient && failed.Class != RateLimited && failed.Class != Unavailable && failed.Class != Overloaded {
			return err
		}
	}
	return fmt.Errorf("ten times in a row: %w", failed)
}

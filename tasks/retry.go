package tasks

import (
	"math/rand/v2"
	"time"
)

// Retry is the policy for documents that failed: the delay before the next attempt, and the
// number of attempts. MaxAttempts includes the first one.
type Retry struct {
	Base, Cap   time.Duration
	MaxAttempts int64
}

// Delay returns the delay after attempt n, counted from 1. It is exponential, capped, and has
// full jitter, which spreads the retries of many workers best (M. Brooker, "Exponential
// Backoff And Jitter", AWS Architecture Blog, 2015).
func (r Retry) Delay(n int64) time.Duration {
	ceiling := r.Cap
	if shift := max(n-1, 0); shift < 62 {
		if d := r.Base << shift; d > 0 && d>>shift == r.Base && d < r.Cap {
			ceiling = d
		}
	}
	if ceiling <= 0 {
		return 0
	}
	return rand.N(ceiling) + 1
}

// Exhausted reports whether no attempt is left after n of them.
func (r Retry) Exhausted(n int64) bool { return n >= r.MaxAttempts }

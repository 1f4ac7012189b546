package tasks

import (
	"math/rand/v2"
	"time"
)

// Retry is when a document that failed is tried again, and how often.
type Retry struct {
	Base, Cap   time.Duration
	MaxAttempts int64
}

// Delay before the try that follows the n-th (from 1): exponential, capped, with full jitter, which spreads the
// retries of many workers best (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
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

// Exhausted says whether a document that was tried n times is given up.
func (r Retry) Exhausted(n int64) bool { return n >= r.MaxAttempts }

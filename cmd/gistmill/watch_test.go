package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A reading that takes long is waited for while the ledger answers pings, and given up within 2 s
// when it does not.
func TestSlowIsNotAway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		takes time.Duration
		alive time.Duration // how long the ledger answers pings; later pings hang
		err   error
		took  time.Duration // at most
	}{
		"fast":                   {takes: time.Second, took: time.Second},
		"slow":                   {takes: time.Minute, alive: time.Hour, took: time.Minute},
		"silent":                 {takes: time.Hour, err: errNoAnswer, took: 2 * time.Second},
		"slow, then silent":      {takes: time.Hour, alive: 10 * time.Second, err: errNoAnswer, took: 12 * time.Second},
		"an answer, then silent": {takes: 1550 * time.Millisecond, took: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				reading, giveUp := context.WithCancel(t.Context())
				defer giveUp()
				var a attempt[int]
				a.begin(reading, func(ctx context.Context) (int, error) {
					select {
					case <-time.After(test.takes):
						return 7, nil
					case <-ctx.Done():
						return 0, ctx.Err()
					}
				})
				value, err := a.endIfAlive(t.Context(), func(ctx context.Context) bool {
					if time.Since(begun) < test.alive {
						return true
					}
					<-ctx.Done()
					return false
				})
				if !errors.Is(err, test.err) || test.err == nil && value != 7 {
					t.Errorf("%d, %v; want %v", value, err, test.err)
				}
				if took := time.Since(begun); took > test.took {
					t.Errorf("took %s, want at most %s", took, test.took)
				}
			})
		})
	}
}

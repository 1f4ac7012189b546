// Package loop runs steps again and again until a context ends.
//
// It owns waiting and the report of a step that fails. It refuses to own what a step does and
// when a failure is final.
package loop

import (
	"context"
	"log/slog"
	"time"
)

// Sleep waits for d and returns nil. When ctx ends first, it returns ctx.Err().
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Every calls do at once and then at each interval, until ctx ends. Calls never overlap: after
// a call that takes longer than the interval the next one follows at once.
func Every(ctx context.Context, interval time.Duration, do func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do(ctx)
		if ctx.Err() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Report returns a step for [Every] that logs the errors of do: a warning when it begins to
// fail, and a message when it works again. An error after ctx has ended is not logged.
func Report(log *slog.Logger, step string, do func(context.Context) error) func(context.Context) {
	failing := false
	return func(ctx context.Context) {
		err := do(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			log.Warn("background step failed, retrying", "step", step, "error", err)
		case err == nil && failing:
			log.Info("background step works again", "step", step)
		}
		failing = err != nil
	}
}

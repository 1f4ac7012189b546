package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A scenario answers one question about the program.
type scenario struct {
	name  string
	about string
	alone bool // needs both processors
	aside bool // uses almost nothing, and may run concurrently with others
	most  time.Duration
	play  func(context.Context, *site) ([]row, error)
}

// scenarios returns all scenarios in the order of the report.
func scenarios() []scenario {
	var all []scenario
	all = append(all, throughputScenario(), limiterScenario())
	// It takes ten minutes and does almost nothing, so it starts before the others of its kind.
	all = append(all, refusedScenario())
	all = append(all, knownScenarios()...)
	all = append(all, tokensScenario())
	all = append(all, unknownScenarios()...)
	all = append(all, changedScenarios()...)
	all = append(all, killedScenario(), budgetScenario())
	return all
}

// play runs a scenario on a site of its own with a time limit.
func (b *bench) play(ctx context.Context, s scenario) (rows []row, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.most, fmt.Errorf("not done within %s", s.most))
	defer cancel()
	here, err := b.open(ctx, s.name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, here.close(ctx)) }()
	return s.play(ctx, here)
}

// of returns the first duration for a full run and the second for a quick one.
func (s *site) of(judging, trying time.Duration) time.Duration {
	if s.bench.quick {
		return trying
	}
	return judging
}

// pause sleeps until d has passed or ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

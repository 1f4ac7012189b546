package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A scenario is one question to the program.
type scenario struct {
	name  string
	about string
	alone bool // needs both processors
	aside bool // asks for almost nothing, and may run beside the others
	most  time.Duration
	play  func(context.Context, *site) ([]row, error)
}

// scenarios lists all, in the order in which they are reported.
func scenarios() []scenario {
	var all []scenario
	all = append(all, throughputScenario(), limiterScenario())
	// It takes ten minutes and does next to nothing in them, so it begins before the others of its kind.
	all = append(all, refusedScenario())
	all = append(all, knownScenarios()...)
	all = append(all, tokensScenario())
	all = append(all, unknownScenarios()...)
	all = append(all, changedScenarios()...)
	all = append(all, killedScenario(), budgetScenario())
	return all
}

// play gives a scenario a site of its own, and bounds it.
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

// of is one duration for judging and another for trying.
func (s *site) of(judging, trying time.Duration) time.Duration {
	if s.bench.quick {
		return trying
	}
	return judging
}

// pause waits.
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

package main

import (
	"context"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/telemetry"
)

// traceTimeout bounds the export of the last traces.
const traceTimeout = 5 * time.Second

// openTracing starts tracing if the environment names an endpoint for traces.
func (a *app) openTracing(ctx context.Context) (err error) {
	if a.tracing, err = telemetry.NewTracing(ctx, a.getenv, versionText(), a.log); err != nil || a.tracing == nil {
		return err
	}
	a.closes = append(a.closes, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceTimeout)
		defer cancel()
		return a.tracing.Close(ctx)
	})
	a.queue.Headers = a.tracing.Headers
	a.observer = &telemetry.Observer{Tracing: a.tracing}
	return nil
}

// getenv returns a variable of the environment. The last value of a name wins.
func (c *cli) getenv(name string) string {
	value := ""
	for _, kv := range c.environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// dependencies returns the checks of what a server or worker depends on, by name.
func (a *app) dependencies() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"redis":  a.queue.CheckWrites,
		"ledger": a.ledger.Ping,
	}
}

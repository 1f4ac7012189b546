package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/console"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm/limiter"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/telemetry"
	"github.com/gistmill/gistmill/keda"
)

func (c *cli) serverCommand() *cobra.Command {
	return c.command("server", needsSettings, &cobra.Command{
		Use:   "server",
		Short: "Serve demand, metrics and pages of the queue, and recover lost work",
		Long: `The server runs permanently. It serves the demand for KEDA (/demand), metrics (/metrics), probes
(/healthz, /readyz) and pages of the queue (/queues/). It releases the claims of dead workers, and
enqueues tasks that Redis lost. Several servers may run at the same time.

With --auth-token-file, the pages require its token: as a Bearer token, or as the password of any
user.`,
		Args: noArgs,
	}, func(ctx context.Context, a *app, _ []string) error { return a.serve(ctx) }, "redis")
}

// serve runs the server until ctx ends.
func (a *app) serve(ctx context.Context) error {
	var token *console.Token
	if a.config.AuthTokenFile != "" {
		var err error
		if token, err = console.ReadToken(a.config.AuthTokenFile); err != nil {
			return &config.InvalidError{Problems: []string{"--auth-token-file: " + err.Error()}}
		}
	}
	if err := a.open(ctx, needsQueue); err != nil {
		return unlessStopped(ctx, err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.config.Listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	demand, err := a.demand()
	if err != nil {
		return err
	}
	handler := console.New(console.Config{
		Demand: demand, Metrics: a.serverMetrics(demand),
		Redis: a.queue.Redis(),
		Ready: a.dependencies(),
		Token: token, TokenForMetrics: a.config.AuthMetrics, Log: a.log,
	})
	a.log.Info("server started", "address", listener.Addr().String(), "token", token != nil)
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return a.recovery.Run(ctx) })
	all.Go(func() error { return console.Serve(ctx, listener, handler, a.config.ShutdownGrace, a.log) })
	return all.Wait()
}

// demand returns the meter of the demand that KEDA scales on.
func (a *app) demand() (*keda.Meter, error) {
	limits, err := keda.NewLimits(keda.LimitsConfig{
		Ledger: a.ledger, Redis: a.queue.Redis(), RPM: a.config.RPM, TPM: a.config.TPM,
		Unlimited: summarize.Extractive, DayCapNano: budgetNano(a.config.BudgetUSDDay), Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	return keda.NewMeter(keda.Config{
		Queue: a.queue, Capacity: limits, Concurrency: a.config.Concurrency, Partitions: a.config.Partitions, Log: a.log,
	})
}

// serverMetrics returns the handler of /metrics, which reads Redis and the ledger at each scrape.
func (a *app) serverMetrics(demand *keda.Meter) http.Handler {
	return telemetry.ServerMetrics(telemetry.ServerConfig{
		Queue: func(ctx context.Context) (telemetry.Queue, error) {
			s, err := a.queue.Stats(ctx)
			return telemetry.Queue{
				Name: a.queue.Name(), Active: s.Active, Pending: s.Pending, Scheduled: s.Scheduled, Retry: s.Retry, Archived: s.Archived, Completed: s.Completed,
				Processed: s.Processed, Failed: s.Failed, Bytes: s.Bytes, Paused: s.Paused, OldestPending: s.Oldest,
			}, err
		},
		Demand: func(ctx context.Context) (telemetry.Demand, error) {
			d, err := demand.Read(ctx)
			return telemetry.Demand{Queue: a.queue.Name(), Demand: d.Demand, Uncapped: d.Uncapped}, err
		},
		Limiters:   func(ctx context.Context) ([]limiter.State, error) { return limiter.List(ctx, a.queue.Redis()) },
		Ledger:     report.New(a.ledger).Stats,
		DayCapNano: budgetNano(a.config.BudgetUSDDay), DeadClasses: ledger.DeadClasses(), Version: versionText(), Log: a.log,
	})
}

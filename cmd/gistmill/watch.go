package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/console"
	"github.com/gistmill/gistmill/internal/telemetry"
	"github.com/gistmill/gistmill/worker"
)

// tracesWithin bounds the sending of the last traces.
const tracesWithin = 5 * time.Second

// openTracing traces what is enqueued and worked on, if the environment names an endpoint for traces.
func (a *app) openTracing(ctx context.Context) (err error) {
	if a.tracing, err = telemetry.NewTracing(ctx, a.getenv, versionText(), a.log); err != nil || a.tracing == nil {
		return err
	}
	a.closes = append(a.closes, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesWithin)
		defer cancel()
		return a.tracing.Close(ctx)
	})
	a.queue.Headers = a.tracing.Headers
	a.observer = &telemetry.Observer{Tracing: a.tracing}
	return nil
}

func (a *app) getenv(name string) string {
	value := ""
	for _, kv := range a.environ {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// parts are what a process waits for, and is not ready without.
func (a *app) parts() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"redis":  a.queue.CheckWrites,
		"ledger": a.ledger.Ping,
	}
}

// watched runs a worker, and meanwhile serves its metrics and probes if there is an address for them. A probe must answer until the worker has
// ended, also while it drains.
func (a *app) watched(stop, abort context.Context, idle time.Duration) error {
	if a.config.MetricsListen == "" {
		w, err := a.worker(workerOptions{idleExit: idle})
		if err != nil {
			return err
		}
		return a.work(stop, abort, w)
	}
	listener, err := (&net.ListenConfig{}).Listen(stop, "tcp", a.config.MetricsListen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --metrics-listen", err)
	}
	defer listener.Close()
	var w *worker.Worker
	metrics := telemetry.NewWorker(versionText(), func() int64 { return w.Held() }, a.log)
	watchdog := telemetry.NewWatchdog(a.parts(), a.log)
	a.observer = &telemetry.Observer{Tracing: a.tracing, Worker: metrics, Watchdog: watchdog}
	if w, err = a.worker(workerOptions{idleExit: idle}); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Metrics())
	mux.Handle("GET /healthz", watchdog)
	mux.Handle("GET /readyz", console.Ready(a.parts(), a.log))
	serving, end := context.WithCancel(context.WithoutCancel(stop))
	defer end()
	served := make(chan error, 1)
	go func() { served <- console.Serve(serving, listener, mux, time.Second, a.log) }()
	a.log.Info("metrics and probes are served", "address", listener.Addr().String())
	err = a.work(stop, abort, w)
	end()
	return errors.Join(err, <-served)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/console"
	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/loop"
	"github.com/gistmill/gistmill/internal/process"
	"github.com/gistmill/gistmill/internal/telemetry"
	"github.com/gistmill/gistmill/worker"
)

const (
	// embeddedPoll is how often the worker polls the embedded queue when it is empty.
	embeddedPoll = 50 * time.Millisecond
	// runPoll is how often `run` checks whether its runs have ended.
	runPoll = 20 * time.Millisecond
	// enqueueMissingInterval is how often `run` enqueues partitions that its queue misses.
	enqueueMissingInterval = 5 * time.Second
)

// work runs a worker. It stops the worker as soon as the queue belongs to another ledger. An
// embedded queue belongs to this process alone.
func (a *app) work(stop, abort context.Context, w *worker.Worker) error {
	if a.embedded() {
		return w.Run(stop, abort)
	}
	stop, end := context.WithCancel(stop)
	var watching sync.WaitGroup
	var lost error
	watching.Go(func() {
		if lost = a.recovery.WatchQueueOwner(stop); lost != nil {
			end()
		}
	})
	err := w.Run(stop, abort)
	end()
	watching.Wait()
	return errors.Join(lost, err)
}

// workAndServe runs a worker and serves its metrics and probes if an address is set for them. The
// probes answer until the worker has ended, also while it drains.
func (a *app) workAndServe(stop, abort context.Context, idleExit time.Duration) error {
	if a.config.MetricsListen == "" {
		w, err := a.worker(workerOptions{idleExit: idleExit})
		if err != nil {
			return err
		}
		return a.workAndDrain(stop, abort, w)
	}
	listener, err := (&net.ListenConfig{}).Listen(stop, "tcp", a.config.MetricsListen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --metrics-listen", err)
	}
	defer listener.Close()
	var w *worker.Worker
	metrics := telemetry.NewWorker(versionText(), func() int64 { return w.Held() }, a.log)
	watchdog := telemetry.NewWatchdog(a.dependencies(), a.log)
	a.observer = &telemetry.Observer{Tracing: a.tracing, Worker: metrics, Watchdog: watchdog}
	if w, err = a.worker(workerOptions{idleExit: idleExit}); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Metrics())
	mux.Handle("GET /healthz", watchdog)
	mux.Handle("GET /readyz", console.Ready(a.dependencies(), a.log))
	serving, end := context.WithCancel(context.WithoutCancel(stop))
	defer end()
	served := make(chan error, 1)
	go func() { served <- console.Serve(serving, listener, mux, time.Second, a.log) }()
	a.log.Info("serving metrics and probes", "address", listener.Addr().String())
	err = a.workAndDrain(stop, abort, w)
	end()
	return errors.Join(err, <-served)
}

// workAndDrain is work. On a terminal it says, while the worker drains, what it waits for.
func (a *app) workAndDrain(stop, abort context.Context, w *worker.Worker) error {
	if !a.stderr.CanRedraw() {
		return a.work(stop, abort, w)
	}
	over := make(chan struct{})
	var notices sync.WaitGroup
	notices.Go(func() { a.newProgress(progressBar).stopping(stop, abort, over, w.InFlight, a.config.ShutdownGrace) })
	err := a.work(stop, abort, w)
	close(over)
	notices.Wait()
	a.stderr.Hide()
	return err
}

// workOn runs a worker until every run has ended or the user interrupts, and returns the status of
// the runs. early, if not nil, writes pages meanwhile. Otherwise done, if not nil, is called for
// each summary, by several goroutines.
func (a *app) workOn(runs []ledger.Run, early *export.EarlyWriter, done func(ledger.Exported)) ([]statusView, error) {
	if early != nil {
		done = early.Add
	}
	w, err := a.worker(workerOptions{poll: embeddedPoll, stopOnDiskFull: true, saysStops: true, done: done, runs: a.onlyRuns(runs)})
	if err != nil {
		return nil, err
	}
	ended, end := context.WithCancel(a.stop)
	defer end()
	var working sync.WaitGroup
	var workErr error
	// The status is read and pages are written after an interrupt too.
	uninterrupted := context.WithoutCancel(a.stop)
	if early != nil {
		go early.Run(uninterrupted)
	}
	show := a.progress
	defer show.end(nil)
	if err := show.begin(func() ([]statusView, error) { return a.statuses(uninterrupted, runs) }); err != nil {
		return nil, err
	}
	a.began = true
	if err := a.sayHeld(uninterrupted, runs); err != nil {
		return nil, err
	}
	over := make(chan struct{})
	var notices sync.WaitGroup
	notices.Go(func() { show.stopping(a.stop, a.abort, over, w.InFlight, a.config.ShutdownGrace) })
	if anyRunning(runs) {
		working.Go(func() {
			workErr = a.work(ended, a.abort, w)
			end()
		})
		working.Go(func() { a.enqueueMissing(ended, runs) })
	}
	for ; ended.Err() == nil; _ = loop.Sleep(ended, runPoll) {
		open, err := a.anyOpen(ended, runs)
		if err == nil && !open {
			break
		}
		if now := time.Now(); err == nil && show.due(now) {
			var views []statusView
			if views, err = a.statuses(ended, runs); err == nil && ended.Err() == nil {
				show.update(views, now)
			}
		}
		if err != nil && ended.Err() == nil {
			a.log.Warn("cannot read the progress", "error", err)
		}
	}
	end()
	working.Wait()
	close(over)
	notices.Wait()
	if early != nil {
		early.Close()
	}
	did := w.Did()
	a.did = worker.Did{Done: a.did.Done + did.Done, Dead: a.did.Dead + did.Dead, Calls: a.did.Calls + did.Calls}
	if workErr != nil {
		return nil, workErr
	}
	after, err := a.statuses(uninterrupted, runs)
	show.end(after)
	return after, err
}

// onlyRuns returns the runs that the worker of `run` works on: all that an embedded queue has. It
// returns nil if the queue is shared.
func (a *app) onlyRuns(runs []ledger.Run) (ids []ledger.RunID) {
	if !a.embedded() {
		return nil
	}
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	return ids
}

// sayHeld says which documents of the runs another process holds. One that was killed on this
// machine holds them until the worker starts, any other until its lease ends.
func (a *app) sayHeld(ctx context.Context, runs []ledger.Run) error {
	now, err := a.ledger.Now(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		workers, err := a.ledger.Workers(ctx, r.ID)
		if err != nil {
			return err
		}
		for _, w := range workers {
			left := max(w.LeaseUntil.Sub(now), 0)
			switch {
			case w.Claims == 0:
			case process.Ended(w.Process):
				a.say("a run of this source was killed; continuing with its last %s", count(w.Claims, "document"))
			case w.Silent || w.Process == "":
				a.say("a run of this source was killed, or cannot reach the ledger; waiting %s for its lease", round(left.Round(time.Second)))
			default:
				a.say("another process (%s) works on %s of this source; if it was killed, its lease ends in %s", w.Name, count(w.Claims, "document"), round(left.Round(time.Second)))
			}
		}
	}
	return nil
}

// enqueueMissing enqueues, until ctx ends, partitions that another process held when the runs were
// planned. If that process was killed or interrupted, its embedded queue may have ended with it.
func (a *app) enqueueMissing(ctx context.Context, runs []ledger.Run) {
	for loop.Sleep(ctx, enqueueMissingInterval) == nil {
		for _, r := range runs {
			if _, err := a.recovery.EnqueueMissing(ctx, r, true); err != nil && ctx.Err() == nil {
				a.log.Warn("cannot enqueue missing partitions, retrying", "run", r.Name, "error", err)
			}
			// Partitions that a killed planner left are not waited for.
			if _, err := a.ledger.FinishRun(ctx, r.ID); err != nil && ctx.Err() == nil {
				a.log.Warn("cannot settle the run, retrying", "run", r.Name, "error", err)
			}
		}
	}
}

func anyRunning(runs []ledger.Run) bool {
	for _, r := range runs {
		if r.State == ledger.Running {
			return true
		}
	}
	return false
}

// anyOpen reports whether any of the runs is still running.
func (a *app) anyOpen(ctx context.Context, runs []ledger.Run) (bool, error) {
	for _, r := range runs {
		run, err := a.ledger.RunByID(ctx, r.ID)
		if err != nil || run.State == ledger.Running {
			return true, err
		}
	}
	return false, nil
}

package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/worker"
)

// ownEvery is how often a process looks whether its queue and its ledger still belong together, a third of ledger.MarkLease.
const ownEvery = 5 * time.Second

// keepOwn watches until ctx ends that queue and ledger belong together, and fails as soon as they do not.
func (a *app) keepOwn(ctx context.Context) error {
	if a.embedded() {
		return nil
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var other *enqueuer.OtherLedgerError
	a.again(ctx, ownEvery, "look whether the queue is this ledger's", func(ctx context.Context) error {
		err := a.enqueuer().KeepOwn(ctx)
		if errors.As(err, &other) {
			end()
		}
		return err
	})
	if other != nil {
		return other
	}
	return nil
}

// work runs a worker, and stops it when queue and ledger do not belong together any more.
func (a *app) work(stop, abort context.Context, w *worker.Worker) error {
	stop, end := context.WithCancel(stop)
	var watching sync.WaitGroup
	var lost error
	watching.Go(func() {
		if lost = a.keepOwn(stop); lost != nil {
			end()
		}
	})
	err := w.Run(stop, abort)
	end()
	watching.Wait()
	return errors.Join(lost, err)
}

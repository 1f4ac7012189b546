package main

import (
	"context"
	"errors"
	"sync"

	"github.com/gistmill/gistmill/worker"
)

// work runs a worker. It stops the worker as soon as the queue belongs to another ledger. An embedded
// queue belongs to this process alone.
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

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interrupts turns the first SIGINT or SIGTERM into the end of stop, and the second into that of abort.
func interrupts(ctx context.Context, stderr io.Writer) (stop, abort context.Context, release func()) {
	hard, cancelHard := context.WithCancel(ctx)
	soft, cancelSoft := context.WithCancel(hard)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-hard.Done():
				return
			case s := <-signals:
				if soft.Err() != nil {
					cancelHard()
					return
				}
				if s == os.Interrupt {
					fmt.Fprintln(stderr, "\ngistmill: stopping; calls in flight are finished first (interrupt again to give them up)")
				}
				cancelSoft()
			}
		}
	})
	return soft, hard, func() {
		signal.Stop(signals)
		cancelSoft()
		cancelHard()
		watching.Wait()
	}
}

// unlessStopped is for what is stopped by a signal in the ordinary course of things, a worker or a server: told to end while it still looks
// for Redis and ledger it has nothing to hand back, and that is as clean an end as any later one.
func unlessStopped(stop context.Context, err error) error {
	select {
	case <-stop.Done():
		return nil
	default:
		return err
	}
}

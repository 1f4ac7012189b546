package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// interrupts turns the first SIGINT or SIGTERM into the end of stop, and the second into that of abort.
func interrupts(ctx context.Context, stderr io.Writer) (stop, abort context.Context, release func()) {
	abort, cancelAbort := context.WithCancel(ctx)
	stop, cancelStop := context.WithCancel(abort)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2 {
			select {
			case s := <-signals:
				if stop.Err() != nil {
					cancelAbort()
					return
				}
				if s == os.Interrupt {
					fmt.Fprintln(stderr, "\ngistmill: stopping; calls in flight are finished first (interrupt again to give them up)")
				}
				cancelStop()
			case <-abort.Done():
				return
			}
		}
	}()
	return stop, abort, func() {
		signal.Stop(signals)
		cancelAbort()
		<-done
		cancelStop()
	}
}

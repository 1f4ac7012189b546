package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/terminal"
)

// say writes a line for people to stderr.
func (c *cli) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, "gistmill: "+format+"\n", args...)
}

// canAsk reports whether someone sees a question and can answer it.
func (c *cli) canAsk() bool { return isTerminal(c.stdin) && c.stderr.IsTerminal() }

// ask asks a question that is answered with yes or no. The default is no. An interrupt ends it.
func (c *cli) ask(question string) (bool, error) {
	yes, err := c.stderr.Ask(c.stop, c.stdin, question)
	if err != nil {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	return yes, nil
}

// confirmed asks a question. If the answer is no, it returns an error with a message.
func (c *cli) confirmed(question, refused string) error {
	if ok, err := c.ask(question); err != nil || ok {
		return err
	}
	return &exitError{exitFailed, refused}
}

// isTerminal reports whether a stream is a terminal. Tests give streams that say so themselves.
func isTerminal(stream any) bool {
	if t, ok := stream.(interface{ IsTerminal() bool }); ok {
		return t.IsTerminal()
	}
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// newLog returns a logger: text on a terminal, otherwise JSON, unless the settings choose.
func newLog(stderr *terminal.Terminal, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" || cfg.LogFormat == "auto" && stderr.IsTerminal() {
		return slog.New(slog.NewTextHandler(stderr, options))
	}
	return slog.New(slog.NewJSONHandler(stderr, options))
}

// interrupts returns two contexts: the first SIGINT, SIGTERM or SIGHUP ends stop, and the second
// ends abort. The third ends the process.
func interrupts(ctx context.Context) (stop, abort context.Context, release func()) {
	abort, cancelAbort := context.WithCancel(ctx)
	stop, cancelStop := context.WithCancel(abort)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1) ignores it
		signal.Notify(signals, syscall.SIGHUP)
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-abort.Done():
				return
			case <-signals:
				if stop.Err() != nil {
					signal.Stop(signals)
					cancelAbort()
					return
				}
				cancelStop()
			}
		}
	})
	return stop, abort, func() {
		signal.Stop(signals)
		cancelStop()
		cancelAbort()
		watching.Wait()
	}
}

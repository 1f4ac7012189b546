package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/terminal"
)

// warningPrefix begins a message that --quiet does not silence.
const warningPrefix = "warning: "

// say tells people what happens. Each line of the message is a line on stderr, or a record if the
// log is JSON.
func (c *cli) say(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if rest, ok := strings.CutPrefix(message, warningPrefix); ok {
		c.tell(slog.LevelWarn, message, rest)
	} else if !c.quiet {
		c.tell(slog.LevelInfo, message, message)
	}
}

// fail says why a command fails.
func (c *cli) fail(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	c.tell(slog.LevelError, message, message)
}

// tell writes a message as lines or, without what the level says, as records.
func (c *cli) tell(level slog.Level, message, record string) {
	if c.records != nil {
		for line := range strings.Lines(record) {
			c.records.Log(context.WithoutCancel(c.stop), level, strings.TrimSuffix(line, "\n")) //nolint:sloglint // a message for people varies
		}
		return
	}
	for line := range strings.Lines(message) {
		fmt.Fprintln(c.stderr, terminal.Prefix+strings.TrimPrefix(strings.TrimSuffix(line, "\n"), terminal.Prefix))
	}
}

// flush writes what the log has counted so far.
func (c *cli) flush() {
	if c.sentences != nil {
		c.sentences.Flush()
	}
}

// canAsk reports whether someone sees a question and can answer it.
func (c *cli) canAsk() bool { return terminal.IsTerminal(c.stdin) && c.stderr.IsTerminal() }

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

// newLog returns the log of a command. Workers and servers, and enqueue without a terminal, log
// records. Other commands log sentences, unless the user set a level or a format.
func (c *cli) newLog(cfg config.Config, command string) *slog.Logger {
	set := map[string]bool{}
	for _, e := range cfg.Explain() {
		set[e.Setting] = e.Origin != "default"
	}
	onTerminal := c.stderr.IsTerminal()
	service := command == "worker" || command == "server" || command == "enqueue" && !onTerminal
	level := cfg.LogLevel
	if !set["log-level"] && (command == "run" || c.quiet) { // run prints its own messages
		level = slog.LevelWarn
	}
	if cfg.LogFormat == "json" {
		c.records = terminal.NewLog(c.stderr, true, slog.LevelInfo)
	}
	if service || set["log-level"] || set["log-format"] {
		return terminal.NewLog(c.stderr, cfg.LogFormat == "json" || cfg.LogFormat == "auto" && service && !onTerminal, level)
	}
	c.sentences = terminal.NewHandler(c.stderr, level)
	return slog.New(c.sentences)
}

// signals ask the program to stop: SIGINT, SIGTERM and SIGHUP.
type signals struct {
	received <-chan os.Signal // nil: none are received
	release  func()           // the next signal ends the process
	exit     func(code int)   // ends the process; nil: not possible
}

// noSignals is for tests: signals would reach all commands that run in the process.
func noSignals() signals { return signals{release: func() {}} }

// interruptGrace is the time after an interrupt in which a command without calls ends on its own.
const interruptGrace = 700 * time.Millisecond

// endAfterInterrupt ends the process if a command without calls does not end after an interrupt:
// nothing stops a write to a pipe that no process reads. It watches until release returns.
func (c *cli) endAfterInterrupt(exit func(code int)) (release func()) {
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Add(1)
	unused := context.AfterFunc(c.stop, func() {
		defer watching.Done()
		select {
		case <-ended:
		case <-time.After(interruptGrace):
			if exit != nil && !c.drains.Load() {
				exit(exitInterrupted)
			}
		}
	})
	return func() {
		close(ended)
		if unused() {
			watching.Done()
		}
		watching.Wait()
	}
}

func notifySignals(exit func(code int)) signals {
	received := make(chan os.Signal, 2)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1) ignores it
		signal.Notify(received, syscall.SIGHUP)
	}
	return signals{received, func() { signal.Stop(received) }, exit}
}

// interrupts returns two contexts: the first signal ends stop, and the second ends abort. The third
// ends the process. typed is called at each SIGINT, which a terminal sends when Ctrl-C is typed.
func interrupts(ctx context.Context, signals signals, typed func()) (stop, abort context.Context, release func()) {
	abort, cancelAbort := context.WithCancel(ctx)
	stop, cancelStop := context.WithCancel(abort)
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-abort.Done():
				return
			case s := <-signals.received:
				if s == os.Interrupt {
					typed()
				}
				if stop.Err() != nil {
					signals.release()
					cancelAbort()
					return
				}
				cancelStop()
			}
		}
	})
	return stop, abort, func() {
		signals.release()
		cancelStop()
		cancelAbort()
		watching.Wait()
	}
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/text"
)

// say writes a line to stderr, safe for terminals: it may quote documents and answers.
func (c *cli) say(format string, args ...any) {
	fmt.Fprintln(c.stderr, "gistmill: "+text.TerminalSafe(fmt.Sprintf(format, args...)))
}

// ask asks a question that is answered with yes or no. The default is no.
func (c *cli) ask(question string) (bool, error) {
	fmt.Fprintf(c.stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(c.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// newLog returns a logger: text on a terminal, otherwise JSON, unless the settings choose.
func newLog(stderr io.Writer, cfg config.Config) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" || cfg.LogFormat == "auto" && isTerminal(stderr) {
		return slog.New(slog.NewTextHandler(stderr, options))
	}
	return slog.New(slog.NewJSONHandler(stderr, options))
}

// interrupts returns two contexts: the first SIGINT or SIGTERM ends stop, and the second ends
// abort.
func interrupts(ctx context.Context, stderr io.Writer) (stop, abort context.Context, release func()) {
	abort, cancelAbort := context.WithCancel(ctx)
	stop, cancelStop := context.WithCancel(abort)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-abort.Done():
				return
			case s := <-signals:
				if stop.Err() != nil {
					cancelAbort()
					return
				}
				if s == os.Interrupt {
					fmt.Fprintln(stderr, "\ngistmill: stopping after the calls in flight; interrupt again to cancel them")
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

package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"
)

// Limits of a command.
const (
	// commandTimeout is the time within which a command must print the key. Commands that ask a
	// server for a token take some seconds.
	commandTimeout = 30 * time.Second
	// commandInterval is the least time between two runs.
	commandInterval = 10 * time.Second
	// retryAfter is the time after which the first run of a command is repeated once if it failed.
	retryAfter = 2 * time.Second
	// renewBefore is how long before its end a key is replaced.
	renewBefore = time.Minute
)

// Command is a key that a command prints, such as `gcloud auth print-access-token`. The command
// runs when the key is first needed, a minute before the key expires, and when the endpoint has
// refused it, but not more often than every 10 s. While it fails, a key that has not expired stays.
// It is safe for concurrent use.
type Command struct {
	line    string
	environ []string
	log     *slog.Logger
	run     func(ctx context.Context) ([]byte, error) // replaced by tests

	turn chan struct{} // full while a goroutine uses the fields below
	key  printed
	ran  time.Time // when the last run began; zero: never
	err  error     // of the last run
}

// NewCommand returns the key that a command line prints. The shell runs it in the given
// environment. It runs nothing yet.
func NewCommand(line string, environ []string, log *slog.Logger) *Command {
	c := &Command{line: line, environ: environ, log: log, turn: make(chan struct{}, 1)}
	c.run = c.shell
	return c
}

// Identity names the source. It is the same for all keys that the command ever prints.
func (c *Command) Identity() string { return "command " + c.line }

// Key returns the key. The error is that of the context, or a *[ProblemError].
func (c *Command) Key(ctx context.Context) (string, error) {
	if err := c.lock(ctx); err != nil {
		return "", err
	}
	defer c.unlock()
	if c.key.text == "" || c.key.endsBefore(time.Now().Add(renewBefore)) {
		if err := c.renew(ctx); err != nil {
			return "", err
		}
	}
	if c.key.text == "" || c.err != nil && c.key.endsBefore(time.Now()) {
		return "", c.err
	}
	return c.key.text, nil
}

// Refused runs the command again if the key that the endpoint refused is the current one. It
// reports whether there is another key to try.
func (c *Command) Refused(ctx context.Context, key string) bool {
	if c.lock(ctx) != nil {
		return false
	}
	defer c.unlock()
	if key == c.key.text && c.renew(ctx) != nil {
		return false
	}
	return key != c.key.text
}

func (c *Command) lock(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Command) unlock() { <-c.turn }

// renew runs the command, unless it ran a short time ago. The error is that of the context alone; a
// failure of the command is kept.
func (c *Command) renew(ctx context.Context) error {
	if !c.ran.IsZero() && time.Since(c.ran) < commandInterval {
		return nil
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out, err := c.run(limited)
	if err != nil && c.key.text == "" && sleep(limited, retryAfter) {
		out, err = c.run(limited) // a token server that restarts should not end a run
	}
	if ctx.Err() != nil {
		return ctx.Err() // the caller has given up: this says nothing about the command
	}
	c.ran = began
	var key printed
	switch {
	case limited.Err() != nil:
		err = &ProblemError{fmt.Sprintf("api-key-command did not end within %s: run it by hand to see why", commandTimeout)}
	case err != nil:
		err = failed(err)
	default:
		key, err = parse(out, time.Now())
	}
	if err != nil {
		if c.key.text != "" && c.err == nil {
			c.log.Warn("the API key stays, because its command failed", slog.String("reason", err.Error()))
		}
		c.err = err
		return nil
	}
	if c.key.text != "" && key.text != c.key.text {
		c.log.Info("the API key was renewed by its command")
	}
	c.key, c.err = key, nil
	return nil
}

// failed returns the error of a command without anything that it has printed.
func failed(err error) error {
	var exit *exec.ExitError
	how := "could not be started"
	if errors.As(err, &exit) {
		how = "failed (" + exit.ProcessState.String() + ")"
	}
	return &ProblemError{"api-key-command " + how + ": run it by hand to see why"}
}

// shell runs the command line and returns its standard output.
func (c *Command) shell(ctx context.Context) ([]byte, error) {
	cmd := shellCommand(ctx, c.line)
	out := &bounded{}
	cmd.Stdout = out // standard error may hold secrets too, so that it goes nowhere
	cmd.Env = c.environ
	cmd.WaitDelay = time.Second // for a child of the shell that keeps the pipe
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the command itself ended well
	}
	return out.Bytes(), err
}

// bounded keeps what fits a key, and drops the rest.
type bounded struct{ bytes.Buffer }

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, maxKeyBytes+1-b.Len()))])
	return len(p), nil
}

// parse returns the key that a command has printed: the only line, or a member of a JSON object.
func parse(out []byte, now time.Time) (printed, error) {
	if len(out) > maxKeyBytes {
		return printed{}, &ProblemError{"api-key-command prints too much for a key: let it print the key alone"}
	}
	key := parsePrinted(strings.TrimSpace(string(out)), now)
	switch what := Check(key.text); {
	case key.text == "":
		return printed{}, &ProblemError{"api-key-command prints no key: let it print the key alone, or a JSON object with token and expiry"}
	case what != "":
		return printed{}, &ProblemError{"api-key-command prints a key that " + what}
	case key.endsBefore(now):
		return printed{}, &ProblemError{"api-key-command prints a key that has expired: run it by hand to see why"}
	}
	return key, nil
}

// sleep waits, and reports false if the context ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

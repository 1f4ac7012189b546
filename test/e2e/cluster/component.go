package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Component is one program of the cluster, such as etcd or kubelet. It is safe for concurrent
// use.
type Component struct {
	Name string

	file, log string
	args, env []string

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{} // closed when the program has ended
	wanted  bool          // it should be running: its end is a failure
}

// start starts the program and appends to its log.
func (c *Component) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wanted {
		return fmt.Errorf("%s runs already", c.Name)
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the program has its own by then
	c.command = exec.Command(c.file, c.args...)
	c.command.Env = c.env
	c.command.Dir = filepath.Dir(filepath.Dir(c.log))
	c.command.Stdout, c.command.Stderr = log, log
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.Name, err)
	}
	c.wanted, c.ended = true, make(chan struct{})
	go func(command *exec.Cmd, ended chan struct{}) {
		_ = command.Wait() // the log shows how it ended
		close(ended)
	}(c.command, c.ended)
	return nil
}

// Stop ends the program by SIGTERM, and by SIGKILL after ten seconds.
func (c *Component) Stop() error { return c.end(syscall.SIGTERM) }

// Kill ends the program by SIGKILL.
func (c *Component) Kill() error { return c.end(syscall.SIGKILL) }

func (c *Component) end(signal syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wanted {
		return fmt.Errorf("%s does not run", c.Name)
	}
	c.wanted = false
	if err := c.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.Name, err)
	}
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		if err := c.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill %s: %w", c.Name, err)
		}
		<-c.ended
	}
	return nil
}

// Start starts a program that was stopped.
func (c *Component) Start() error { return c.start() }

// failed reports that the program has ended unexpectedly.
func (c *Component) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wanted {
		return nil
	}
	select {
	case <-c.ended:
		return fmt.Errorf("%s has ended (%s); its log ends with\n%s", c.Name, c.command.ProcessState, logTail(c.log, 20))
	default:
		return nil
	}
}

// logTail returns the last lines of a file.
func logTail(name string, lines int) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// await polls every 50 ms until a condition is met or ctx ends. It fails when a component has
// ended unexpectedly.
func (c *Cluster) await(ctx context.Context, what string, met func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := met(ctx)
		if err == nil {
			return nil
		}
		if failure := c.Failed(); failure != nil {
			return fmt.Errorf("wait for %s: %w", what, failure)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last: %w", what, context.Cause(ctx), err)
		}
	}
}

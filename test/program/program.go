// Package program starts programs for tests and benchmarks, and reports how they end and which
// resources they used.
//
// It owns the life of one process. It does not interpret what a process prints, and it judges
// nothing.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Process is a program that was started. It is safe for concurrent use.
type Process struct {
	Args   []string
	Stdout Output
	Stderr Output

	command *exec.Cmd
	begun   time.Time
	ended   chan struct{}
	result  Result // valid once ended is closed
}

// A Result is how a program ended.
type Result struct {
	Args   []string
	Code   int // -1: by a signal
	Stdout string
	Stderr string
	Took   time.Duration // from its start
	// Processor is the processor time that the program and the children it waited for used.
	Processor time.Duration
	// Peak is the largest resident set in bytes, without children, read from the kernel until some
	// milliseconds before the end (proc(5): VmHWM). It is 0 where there is no /proc. wait4's
	// figure is no replacement: it starts with the memory of the parent process.
	Peak int64
	// State is what wait4 returned.
	State *os.ProcessState
}

// Output may be read while it is written.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Start starts a command and sets its outputs. The caller must wait for the process or kill it.
func Start(command *exec.Cmd) (*Process, error) {
	p := &Process{Args: command.Args, command: command, begun: time.Now(), ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.Stdout, &p.Stderr
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	go p.watch()
	return p, nil
}

// watch waits for the end, and polls the peak until then.
func (p *Process) watch() {
	defer close(p.ended)
	waited := make(chan error, 1)
	go func() { waited <- p.command.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.result.Peak = max(p.result.Peak, highWater(p.command.Process.Pid))
		case err := <-waited:
			p.result.Args, p.result.Took = p.Args, time.Since(p.begun)
			p.result.Stdout, p.result.Stderr = p.Stdout.String(), p.Stderr.String()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				p.result.Code = -2 // reading its outputs failed
				return
			}
			state := p.command.ProcessState
			p.result.State, p.result.Code, p.result.Processor = state, state.ExitCode(), state.UserTime()+state.SystemTime()
			return
		}
	}
}

func highWater(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // it has just ended
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// PID returns the process id.
func (p *Process) PID() int { return p.command.Process.Pid }

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end. The only error is the context's; a bad exit code is not an error.
func (p *Process) Wait(ctx context.Context) (Result, error) {
	select {
	case <-p.ended:
		return p.result, nil
	case <-ctx.Done():
		return Result{}, fmt.Errorf("wait for %s: %w\n%s", strings.Join(p.Args, " "), context.Cause(ctx), Tail(p.Stderr.String()))
	}
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.command.Process.Signal(s) }

// Kill ends the program at once and waits until it has ended. It may have ended before.
func (p *Process) Kill() Result {
	_ = p.command.Process.Signal(syscall.SIGKILL)
	<-p.ended
	return p.result
}

// Processor returns the processor time that the running program has used so far (proc(5): utime
// and stime, in hundredths of a second).
func (p *Process) Processor() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Build builds the Go program of an import path into a file, with flags for `go build`.
func Build(ctx context.Context, file, pkg string, flags ...string) error {
	args := append([]string{"build", "-trimpath", "-o", file}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, pkg)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// Tail returns the end of a long text.
func Tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// Package programtest runs gistmill in tests. Its methods fail the test where those of
// [program.Process] return an error.
//
// It owns building, starting and waiting for the program, and reading what it prints. It does not
// own servers, endpoints, or what a test expects.
package programtest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program"
)

// parallel is how many tests run at once unless -parallel is set. Most of them wait for a lease or
// a deadline, not for the processor.
const parallel = "4"

// Main runs a package's tests and returns the exit code. setUp gets a folder that exists until the
// tests have ended.
func Main(m *testing.M, setUp func(dir string) error) int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(parallel)
	}
	dir, err := os.MkdirTemp("", "gistmill-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err := setUp(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Build builds gistmill into a file of a folder, with flags for `go build`, and returns its path.
func Build(dir, name string, flags ...string) (string, error) {
	file := filepath.Join(dir, name)
	return file, program.Build(context.Background(), file, "github.com/gistmill/gistmill/cmd/gistmill", flags...)
}

// A Process is a running gistmill of one test.
type Process struct {
	*program.Process
	t        *testing.T
	args     []string
	patience time.Duration
}

// A Result is how a process ended.
type Result struct {
	Args           []string
	Code           int // -1: by a signal
	Stdout, Stderr string
	Took           time.Duration // from its start
	Peak           int64         // largest resident set in bytes, see [program.Result]
	// PeakWithChildren is the largest resident set in bytes of the program or of any child that it
	// waited for (getrusage(2): ru_maxrss).
	PeakWithChildren int64

	t *testing.T
}

// Start starts a command. args are the program's own arguments, for messages. patience bounds each
// wait. The process is killed when the test ends.
func Start(t *testing.T, patience time.Duration, command *exec.Cmd, args []string) *Process {
	t.Helper()
	started, err := program.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { started.Kill() })
	return &Process{Process: started, t: t, args: args, patience: patience}
}

// String returns the command line, for messages.
func (p *Process) String() string { return "gistmill " + strings.Join(p.args, " ") }

// Wait waits for the process to end.
func (p *Process) Wait() Result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	r, err := p.Process.Wait(ctx)
	if err != nil {
		p.t.Fatalf("%v\nstdout:\n%s", err, program.Tail(p.Stdout.String()))
	}
	return Result{
		t: p.t, Args: p.args, Code: r.Code, Stdout: r.Stdout, Stderr: r.Stderr,
		Took: r.Took, Peak: r.Peak, PeakWithChildren: maxRSS(r.State),
	}
}

// maxRSS returns the largest resident set in bytes. Linux reports it in KiB.
func maxRSS(s *os.ProcessState) int64 {
	if s == nil {
		return 0 // waiting for the process failed
	}
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}

// HasEnded reports whether the process has ended.
func (p *Process) HasEnded() bool {
	select {
	case <-p.Ended():
		return true
	default:
		return false
	}
}

// Until waits for a condition while the process runs. The test fails if the process ends before.
func (p *Process) Until(what string, met func() bool) {
	p.t.Helper()
	Await(p.t, what, p.patience, func() bool {
		ended := p.HasEnded() // read before the condition, which the end of the process may meet
		if met() {
			return true
		}
		if ended {
			r := p.Wait()
			p.t.Fatalf("%s ended with %d before %s\nstderr:\n%s", p, r.Code, what, program.Tail(r.Stderr))
		}
		return false
	}, func() string { return program.Tail(p.Stderr.String()) })
}

// Running fails the test if the process has ended.
func (p *Process) Running() {
	p.t.Helper()
	if p.HasEnded() {
		r := p.Wait()
		p.t.Fatalf("%s ended with %d\nstderr:\n%s", p, r.Code, program.Tail(r.Stderr))
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v\nstderr:\n%s", s, err, program.Tail(p.Stderr.String()))
	}
}

// Kill sends SIGKILL and waits until the process has ended.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	p.Wait()
}

// Stop sends SIGTERM and waits until the process has ended. Its exit code must be 0.
func (p *Process) Stop() Result {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait().WantCode(0)
}

// Processor returns the processor time that the process has used so far.
func (p *Process) Processor() time.Duration {
	p.t.Helper()
	used, err := p.Process.Processor()
	if err != nil {
		p.t.Fatal(err)
	}
	return used
}

// WantCode fails the test if the exit code is another one.
func (r Result) WantCode(code int) Result {
	r.t.Helper()
	if r.Code != code {
		r.t.Fatalf("gistmill %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s",
			strings.Join(r.Args, " "), r.Code, code, program.Tail(r.Stdout), program.Tail(r.Stderr))
	}
	return r
}

// Says checks that stderr contains each of the texts.
func (r Result) Says(texts ...string) Result {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.Stderr, text) {
			r.t.Errorf("gistmill %s: stderr does not contain %q:\n%s", strings.Join(r.Args, " "), text, program.Tail(r.Stderr))
		}
	}
	return r
}

// Decode decodes stdout, which must be exactly one JSON value.
func (r Result) Decode(v any) {
	r.t.Helper()
	d := json.NewDecoder(strings.NewReader(r.Stdout))
	if err := d.Decode(v); err != nil || d.More() {
		r.t.Fatalf("gistmill %s: stdout is not one JSON value: %v\n%s", strings.Join(r.Args, " "), err, program.Tail(r.Stdout))
	}
}

// Await polls until a condition is met. The test fails after the given time; describe, if not nil,
// returns what was seen last.
func Await(t *testing.T, what string, within time.Duration, met func() bool, describe func() string) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-deadline.C:
			seen := ""
			if describe != nil {
				seen = ": " + describe()
			}
			t.Fatalf("not within %s: %s%s", within, what, seen)
		}
	}
}

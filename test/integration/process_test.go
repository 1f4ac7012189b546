//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program"
)

// background is for what has to work when the test's own context has ended.
func background() context.Context { return context.Background() }

// await waits for a condition; say, if not nil, tells what was seen last.
func await(t *testing.T, what string, within time.Duration, met func() bool, say func() string) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-deadline.C:
			seen := ""
			if say != nil {
				seen = ": " + say()
			}
			t.Fatalf("not within %s: %s%s", within, what, seen)
		}
	}
}

// process is a program that was started.
type process struct {
	*program.Process
	t    *testing.T
	args []string
}

// result is how a program ended.
type result struct {
	t              *testing.T
	args           []string
	code           int // -1: by a signal
	stdout, stderr string
	took           time.Duration
}

// start starts the program in the site's folder.
func (s *site) start(args ...string) *process {
	s.t.Helper()
	return s.startBy([]string{shared.binary}, args...)
}

// startBy starts another build of the program, or one by way of something else.
func (s *site) startBy(by []string, args ...string) *process {
	s.t.Helper()
	command := exec.Command(by[0], append(slices.Clone(by[1:]), args...)...)
	command.Dir = s.dir
	for name, value := range s.env {
		command.Env = append(command.Env, name+"="+value)
	}
	started, err := program.Start(command)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		started.Kill()
		if s.t.Failed() && args[0] == "worker" {
			s.t.Logf("gistmill %s said:\n%s", strings.Join(args, " "), program.Tail(started.Stderr.String()))
		}
	})
	return &process{Process: started, t: s.t, args: args}
}

// run runs the program to its end.
func (s *site) run(args ...string) result {
	s.t.Helper()
	return s.start(args...).wait()
}

// wait waits for the program's end.
func (p *process) wait() result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(background(), patience)
	defer cancel()
	r, err := p.Wait(ctx)
	if err != nil {
		p.t.Fatalf("%v\nstdout:\n%s", err, program.Tail(p.Stdout.String()))
	}
	return result{t: p.t, args: p.args, code: r.Code, stdout: r.Stdout, stderr: r.Stderr, took: r.Took}
}

// hasEnded tells whether the program has.
func (p *process) hasEnded() bool {
	select {
	case <-p.Ended():
		return true
	default:
		return false
	}
}

// until waits for a condition while the program runs; it fails when the program ends before.
func (p *process) until(what string, met func() bool) {
	p.t.Helper()
	await(p.t, what, patience, func() bool {
		ended := p.hasEnded() // before the condition is looked at, which its end may have met
		if met() {
			return true
		}
		if ended {
			r := p.wait()
			p.t.Fatalf("gistmill %s ended with %d before %s\nstderr:\n%s", strings.Join(p.args, " "), r.code, what, program.Tail(r.stderr))
		}
		return false
	}, func() string { return program.Tail(p.Stderr.String()) })
}

// peak is the largest resident set of a program that has ended, in bytes.
func (p *process) peak() int64 {
	p.t.Helper()
	r, err := p.Wait(background())
	if err != nil {
		p.t.Fatal(err)
	}
	return r.Peak
}

// running fails when the program has ended.
func (p *process) running() {
	p.t.Helper()
	if p.hasEnded() {
		r := p.wait()
		p.t.Fatalf("gistmill %s ended with %d\nstderr:\n%s", strings.Join(p.args, " "), r.code, program.Tail(r.stderr))
	}
}

// signal sends the program a signal.
func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.Signal(sig); err != nil {
		p.t.Fatalf("%s: %v\nstderr:\n%s", sig, err, program.Tail(p.Stderr.String()))
	}
}

// kill ends the program at once, and waits until it is gone.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// stop asks the program to end, which has to be clean.
func (p *process) stop() result {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.wait().wantCode(0)
}

// processor is the processor time that the program has used so far.
func (p *process) processor() time.Duration {
	p.t.Helper()
	used, err := p.Processor()
	if err != nil {
		p.t.Fatal(err)
	}
	return used
}

// wantCode checks the exit code.
func (r result) wantCode(code int) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("gistmill %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(r.args, " "), r.code, code, program.Tail(r.stdout), program.Tail(r.stderr))
	}
	return r
}

// says checks that stderr has a text.
func (r result) says(text string) {
	r.t.Helper()
	if !strings.Contains(r.stderr, text) {
		r.t.Errorf("gistmill %s: stderr does not say %q:\n%s", strings.Join(r.args, " "), text, program.Tail(r.stderr))
	}
}

// decode reads stdout, which has to be one JSON value and nothing else.
func (r result) decode(v any) {
	r.t.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(v); err != nil || d.More() {
		r.t.Fatalf("gistmill %s: stdout is not one JSON value: %v\n%s", strings.Join(r.args, " "), err, program.Tail(r.stdout))
	}
}

//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
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
	t        *testing.T
	args     []string
	command  *exec.Cmd
	out, err output
	begun    time.Time
	ended    chan struct{}
	result   result // when ended is closed
}

// result is how a program ended.
type result struct {
	t              *testing.T
	args           []string
	code           int // -1: by a signal
	stdout, stderr string
	took           time.Duration
}

// output may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts the program in the site's folder.
func (s *site) start(args ...string) *process {
	s.t.Helper()
	p := &process{t: s.t, args: args, ended: make(chan struct{}), begun: time.Now()}
	p.command = exec.Command(shared.binary, args...)
	p.command.Dir = s.dir
	for name, value := range s.env {
		p.command.Env = append(p.command.Env, name+"="+value)
	}
	p.command.Stdout, p.command.Stderr = &p.out, &p.err
	if err := p.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		err := p.command.Wait()
		p.result = result{t: p.t, args: args, stdout: p.out.String(), stderr: p.err.String(), took: time.Since(p.begun)}
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			p.result.code = -2
			return
		}
		p.result.code = p.command.ProcessState.ExitCode()
	}()
	s.t.Cleanup(func() {
		_ = p.command.Process.Kill()
		<-p.ended
		if s.t.Failed() && args[0] == "worker" {
			s.t.Logf("gistmill %s said:\n%s", strings.Join(args, " "), tail(p.err.String()))
		}
	})
	return p
}

// tail is the end of a long text.
func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

// run runs the program to its end.
func (s *site) run(args ...string) result {
	s.t.Helper()
	return s.start(args...).wait()
}

// wait waits for the program's end.
func (p *process) wait() result {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("gistmill %s has not ended after %s\nstdout:\n%s\nstderr:\n%s", strings.Join(p.args, " "), patience, tail(p.out.String()), tail(p.err.String()))
	}
	return p.result
}

// until waits for a condition while the program runs; it fails when the program ends before.
func (p *process) until(what string, met func() bool) {
	p.t.Helper()
	await(p.t, what, patience, func() bool {
		select {
		case <-p.ended:
			if !met() {
				p.t.Fatalf("gistmill %s ended with %d before %s\nstderr:\n%s", strings.Join(p.args, " "), p.result.code, what, tail(p.result.stderr))
			}
			return true
		default:
			return met()
		}
	}, func() string { return tail(p.err.String()) })
}

// running fails when the program has ended.
func (p *process) running() {
	p.t.Helper()
	select {
	case <-p.ended:
		p.t.Fatalf("gistmill %s ended with %d\nstderr:\n%s", strings.Join(p.args, " "), p.result.code, tail(p.result.stderr))
	default:
	}
}

// signal sends the program a signal.
func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(sig); err != nil {
		p.t.Fatalf("%s: %v\nstderr:\n%s", sig, err, tail(p.err.String()))
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

// processor is the processor time that the program has used so far (proc(5): utime and stime, in hundredths of a second).
func (p *process) processor() time.Duration {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// wantCode checks the exit code.
func (r result) wantCode(code int) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("gistmill %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(r.args, " "), r.code, code, tail(r.stdout), tail(r.stderr))
	}
	return r
}

// says checks that stderr has a text.
func (r result) says(text string) {
	r.t.Helper()
	if !strings.Contains(r.stderr, text) {
		r.t.Errorf("gistmill %s: stderr does not say %q:\n%s", strings.Join(r.args, " "), text, tail(r.stderr))
	}
}

// decode reads stdout, which has to be one JSON value and nothing else.
func (r result) decode(v any) {
	r.t.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(v); err != nil || d.More() {
		r.t.Fatalf("gistmill %s: stdout is not one JSON value: %v\n%s", strings.Join(r.args, " "), err, tail(r.stdout))
	}
}

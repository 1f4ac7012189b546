//go:build integration

package acceptance

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program"
)

// patience bounds every wait. It is for a loaded machine; nothing waits for it when all is well.
const patience = 2 * time.Minute

// user has a folder of her own to work in, with her documents in docs, and an endpoint.
type user struct {
	t    *testing.T
	dir  string
	fake *fakellm.Server
	url  string   // of the endpoint, as for --base-url
	env  []string // beyond PATH, HOME and TMPDIR
}

func newUser(t *testing.T, change func(*fakellm.Config)) *user {
	t.Helper()
	u := &user{t: t, dir: t.TempDir()}
	u.fake, u.url = newEndpoint(t, change, func(fake *fakellm.Server) http.Handler { return fake })
	for _, folder := range []string{"docs", "tmp"} {
		if err := os.Mkdir(u.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// newEndpoint serves a fake endpoint behind what is put before it, and returns its base URL.
func newEndpoint(t *testing.T, change func(*fakellm.Config), before func(*fakellm.Server) http.Handler) (fake *fakellm.Server, url string) {
	t.Helper()
	cfg := fakellm.Defaults()
	if change != nil {
		change(&cfg)
	}
	fake, err := fakellm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(before(fake))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return fake, server.URL + "/v1"
}

// path is in her folder.
func (u *user) path(name string) string { return filepath.Join(u.dir, filepath.FromSlash(name)) }

// set changes the endpoint from now on.
func (u *user) set(change func(*fakellm.Config)) {
	u.t.Helper()
	if err := u.fake.Set(change); err != nil {
		u.t.Fatal(err)
	}
}

// paid counts the completions that the endpoint gave so far.
func (u *user) paid() int64 { return u.fake.Stats().Completed }

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
	peak           int64 // bytes of memory, its children's too
}

// start starts the program in her folder.
func (u *user) start(args ...string) *process {
	u.t.Helper()
	command := exec.Command(binary, args...)
	command.Dir = u.dir
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.dir, "TMPDIR=" + u.path("tmp")}, u.env...)
	started, err := program.Start(command)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() { started.Kill() })
	return &process{Process: started, t: u.t, args: args}
}

// peakMemory is the largest resident set that the kernel saw, in bytes (Linux counts it in KiB).
func peakMemory(s *os.ProcessState) int64 {
	if s == nil {
		return 0 // it could not be waited for
	}
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}

// wait waits for the program's end.
func (p *process) wait() result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := p.Wait(ctx)
	if err != nil {
		p.t.Fatalf("%v\nstdout:\n%s", err, p.Stdout.String())
	}
	return result{t: p.t, args: p.args, code: r.Code, stdout: r.Stdout, stderr: r.Stderr, took: r.Took, peak: peakMemory(r.State)}
}

// signal sends the program a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatalf("%s: %v\nstderr:\n%s", s, err, p.Stderr.String())
	}
}

// until waits for a condition while the program runs; it fails when the program ends before.
func (p *process) until(what string, met func() bool) {
	p.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !met() {
		select {
		case <-tick.C:
		case <-p.Ended():
			if r := p.wait(); !met() {
				p.t.Fatalf("gistmill %s ended with %d before %s\nstderr:\n%s", strings.Join(p.args, " "), r.code, what, r.stderr)
			}
		case <-deadline.C:
			p.t.Fatalf("gistmill %s: not in %s: %s\nstderr:\n%s", strings.Join(p.args, " "), patience, what, p.Stderr.String())
		}
	}
}

// run runs the program to its end.
func (u *user) run(args ...string) result {
	u.t.Helper()
	return u.start(args...).wait()
}

// summarize is `run` of docs at the fake endpoint, started.
func (u *user) summarize(more ...string) *process {
	u.t.Helper()
	return u.start(append([]string{"run", "docs", "--base-url", u.url}, more...)...)
}

// wantCode checks the exit code.
func (r result) wantCode(code int) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("gistmill %s: exit code %d, want %d\nstdout:\n%.2000s\nstderr:\n%s", strings.Join(r.args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// says checks that stderr has each of the texts.
func (r result) says(texts ...string) result {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.stderr, text) {
			r.t.Errorf("gistmill %s: stderr does not say %q:\n%s", strings.Join(r.args, " "), text, r.stderr)
		}
	}
	return r
}

// totals are the books of a run as `status -o json` gives them.
type totals struct {
	Total     int64 `json:"total"`
	Done      int64 `json:"done"`
	Dead      int64 `json:"dead"`
	Skipped   int64 `json:"skipped"`
	Remaining int64 `json:"remaining"`
}

// status is what `status -o json` says.
type status struct {
	Run       string  `json:"run"`
	State     string  `json:"state"`
	Reason    *string `json:"reason"`
	Documents totals  `json:"documents"`
	Tokens    struct {
		In  int64 `json:"in"`
		Out int64 `json:"out"`
	} `json:"tokens"`
	Calls   int64    `json:"calls"`
	CostUSD *float64 `json:"cost_usd"`
}

// state is "finished", or "stopped:paused" and the like.
func (s status) state() string {
	if s.Reason != nil {
		return s.State + ":" + *s.Reason
	}
	return s.State
}

// status asks for a run's books, the newest run's by default, and checks that they balance.
func (u *user) status(run ...string) status {
	u.t.Helper()
	r := u.run(append([]string{"status", "-o", "json"}, run...)...).wantCode(0)
	var s status
	r.decode(&s)
	d := s.Documents
	if d.Total != d.Done+d.Dead+d.Skipped+d.Remaining {
		u.t.Fatalf("the books do not balance: %+v", d)
	}
	return s
}

// books checks the state and the books of the newest run.
func (u *user) books(state string, want totals) status {
	u.t.Helper()
	s := u.status()
	if s.state() != state || s.Documents != want {
		u.t.Fatalf("run %s is %s with %+v, want %s with %+v", s.Run, s.state(), s.Documents, state, want)
	}
	return s
}

// decode reads stdout, which has to be one JSON value and nothing else.
func (r result) decode(v any) {
	r.t.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	if err := d.Decode(v); err != nil || d.More() {
		r.t.Fatalf("gistmill %s: stdout is not one JSON value: %v\n%s", strings.Join(r.args, " "), err, r.stdout)
	}
}

// deadLetter is an element of `dead list -o json`.
type deadLetter struct {
	URI      string    `json:"uri"`
	Run      string    `json:"run"`
	Class    string    `json:"class"`
	Message  string    `json:"message"`
	Attempts int64     `json:"attempts"`
	At       time.Time `json:"at"`
}

// dead lists the dead letters by URI.
func (u *user) dead() map[string]deadLetter {
	u.t.Helper()
	var list []deadLetter
	u.run("dead", "list", "-o", "json").wantCode(0).decode(&list)
	dead := map[string]deadLetter{}
	for _, letter := range list {
		if _, ok := dead[letter.URI]; ok {
			u.t.Errorf("dead list has %s twice", letter.URI)
		}
		dead[letter.URI] = letter
	}
	return dead
}

// summary is a line of summaries.jsonl.
type summary struct {
	URI           string   `json:"uri"`
	ContentSHA256 string   `json:"content_sha256"`
	Summary       string   `json:"summary"`
	Model         string   `json:"model"`
	Profile       string   `json:"profile"`
	TokensIn      int64    `json:"tokens_in"`
	TokensOut     int64    `json:"tokens_out"`
	CostUSD       *float64 `json:"cost_usd"`
	Chunks        int64    `json:"chunks"`
}

// summaries reads what `run` left, by URI.
func (u *user) summaries() map[string]summary {
	u.t.Helper()
	b, err := os.ReadFile(u.path("summaries/summaries.jsonl"))
	if err != nil {
		u.t.Fatal(err)
	}
	return decodeLines(u.t, string(b))
}

func decodeLines(t *testing.T, text string) map[string]summary {
	t.Helper()
	all := map[string]summary{}
	for line := range strings.Lines(text) {
		var s summary
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("not a JSON line: %v: %.200s", err, line)
		}
		if _, ok := all[s.URI]; ok {
			t.Errorf("%s has two summaries", s.URI)
		}
		all[s.URI] = s
	}
	return all
}

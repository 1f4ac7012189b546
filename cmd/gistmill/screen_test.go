package main

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/screen"
)

// desk is a person's folder with documents, and a paid endpoint.
type desk struct {
	t        *testing.T
	dir      string
	endpoint *fakellm.Server
	url      string
	env      []string
}

// newDesk returns a folder with tickets.jsonl of n documents. change may be nil.
func newDesk(t *testing.T, n int, change func(*fakellm.Config)) *desk {
	t.Helper()
	t.Parallel()
	c := fakellm.Defaults()
	if change != nil {
		change(&c)
	}
	endpoint, err := fakellm.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(endpoint)
	t.Cleanup(server.Close)
	d := &desk{t: t, dir: t.TempDir(), endpoint: endpoint, url: server.URL + "/v1"}
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"id":"T-%d","text":"Ticket %d. The printer on floor %d does not print. It was repaired in 2021 and again in 2023."}`+"\n", i, i, i%7)
	}
	d.write("tickets.jsonl", lines.String())
	d.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TERM=xterm-256color", "GORACE=atexit_sleep_ms=0"}
	return d
}

func (d *desk) write(name, content string) {
	d.t.Helper()
	file := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// command returns a command of this build of the program, or of that which GISTMILL_TEST_PROGRAM
// names.
func (d *desk) command(args ...string) *exec.Cmd {
	d.t.Helper()
	program := os.Getenv("GISTMILL_TEST_PROGRAM")
	if program == "" {
		var err error
		if program, err = exec.LookPath("gistmill"); err != nil {
			d.t.Fatal(err)
		}
	}
	command := exec.CommandContext(d.t.Context(), program, args...)
	command.Dir, command.Env = d.dir, d.env
	return command
}

// paid returns the arguments of a run of the tickets with a paid model.
func (d *desk) paid(more ...string) []string {
	return append([]string{"run", "tickets.jsonl", "--model", "gpt-4", "--base-url", d.url}, more...)
}

// start starts the program in a terminal.
func (d *desk) start(columns, rows int, args ...string) *screen.Screen {
	d.t.Helper()
	return screen.Start(d.t, columns, rows, d.command(args...))
}

// wantCalls fails the test unless the endpoint had that number of calls.
func (d *desk) wantCalls(want int64) {
	d.t.Helper()
	if got := d.endpoint.Stats().Calls; got != want {
		d.t.Errorf("the endpoint had %d calls, want %d", got, want)
	}
}

// sizes are a usual terminal and a small one.
var sizes = []struct{ columns, rows int }{{80, 24}, {30, 10}}

func wantCode(t *testing.T, s *screen.Screen, want int) {
	t.Helper()
	if got := s.Wait(); got != want {
		t.Errorf("exit code %d, want %d:\n%s", got, want, s.All())
	}
}

// The question about money can be seen: it is the last thing on the screen, no bar is drawn over it
// or before it, and nothing is called before it is answered.
func TestQuestionOnTerminal(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		for answer, code := range map[string]int{"n\n": exitFailed, "\n": exitFailed, "y\n": exitOK, screen.CtrlC: exitInterrupted} {
			t.Run(fmt.Sprintf("%dx%d %q", size.columns, size.rows, answer), func(t *testing.T) {
				d := newDesk(t, 400, nil)
				s := d.start(size.columns, size.rows, d.paid()...)
				s.Until("[y/N]")
				s.Stays(700 * time.Millisecond)
				if lines := strings.Split(s.Text(), "\n"); !strings.HasSuffix(lines[len(lines)-1], "[y/N]") {
					t.Errorf("the question is not the last line:\n%s", s.Text())
				}
				d.wantCalls(0)
				s.Type(answer)
				wantCode(t, s, code)
				before, _, _ := strings.Cut(s.Raw(), "[y/N]")
				if strings.Contains(before, "0/0") || strings.Contains(before, "[>") {
					t.Errorf("a bar before the answer:\n%s", s.Raw())
				}
				if code == exitOK {
					d.wantCalls(400)
				} else {
					d.wantCalls(0)
				}
			})
		}
	}
}

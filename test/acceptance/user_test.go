//go:build integration

package acceptance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// patience bounds every wait. It is long enough for a loaded machine; a passing test never
// waits that long.
const patience = 2 * time.Minute

// user is a user with a folder to work in, documents in docs, and an endpoint.
type user struct {
	t    *testing.T
	dir  string
	fake *fakellm.Server
	url  string   // of the endpoint, as for --base-url
	env  []string // in addition to PATH, HOME and TMPDIR
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

// newEndpoint serves a fake endpoint behind the handler that wrap returns, and returns its base
// URL.
func newEndpoint(t *testing.T, change func(*fakellm.Config), wrap func(*fakellm.Server) http.Handler) (fake *fakellm.Server, url string) {
	t.Helper()
	cfg := fakellm.Defaults()
	if change != nil {
		change(&cfg)
	}
	fake, err := fakellm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(wrap(fake))
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	return fake, server.URL + "/v1"
}

// path returns a path in the user's folder.
func (u *user) path(name string) string { return filepath.Join(u.dir, filepath.FromSlash(name)) }

// set changes the endpoint's configuration.
func (u *user) set(change func(*fakellm.Config)) {
	u.t.Helper()
	if err := u.fake.Set(change); err != nil {
		u.t.Fatal(err)
	}
}

// paid returns the number of completions that the endpoint has sent.
func (u *user) paid() int64 { return u.fake.Stats().Completed }

// start starts the program in the user's folder.
func (u *user) start(args ...string) *programtest.Process {
	u.t.Helper()
	command := exec.Command(binary, args...)
	command.Dir = u.dir
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.dir, "TMPDIR=" + u.path("tmp")}, u.env...)
	return programtest.Start(u.t, patience, command, args)
}

// run runs the program until it exits.
func (u *user) run(args ...string) programtest.Result {
	u.t.Helper()
	return u.start(args...).Wait()
}

// summarize starts `run` on docs with the fake endpoint.
func (u *user) summarize(more ...string) *programtest.Process {
	u.t.Helper()
	return u.start(append([]string{"run", "docs", "--base-url", u.url}, more...)...)
}

// status returns the status of a run, by default of the newest, and checks that it balances.
func (u *user) status(run ...string) programtest.Status {
	u.t.Helper()
	var s programtest.Status
	u.run(append([]string{"status", "-o", "json"}, run...)...).WantCode(0).Decode(&s)
	s.Check(u.t)
	return s
}

// wantTotals checks the state and the totals of the newest run.
func (u *user) wantTotals(state string, want programtest.Totals) programtest.Status {
	u.t.Helper()
	s := u.status()
	if s.Phase() != state || s.Documents != want {
		u.t.Fatalf("run %s is %s with %+v, want %s with %+v", s.Run, s.Phase(), s.Documents, state, want)
	}
	return s
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

// dead returns the dead letters by URI.
func (u *user) dead() map[string]deadLetter {
	u.t.Helper()
	var list []deadLetter
	u.run("dead", "list", "-o", "json").WantCode(0).Decode(&list)
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

// summaries reads the output of `run` by URI.
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

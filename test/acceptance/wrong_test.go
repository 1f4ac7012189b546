//go:build integration

package acceptance

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// closedPort returns a loopback address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A wrong command line or environment is reported in one line that names the remedy, with the
// documented exit code and an empty stdout. What waits for a server says so before, in one line.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	closed := closedPort(t)
	cases := []struct {
		name string
		args []string
		env  []string
		code int
		// ledger makes an empty ledger first.
		ledger bool
		says   []string
		never  string // must not appear
		lines  int    // maximum of stderr; 0: 1
		// waits is what the first of two lines says: a log record of workers, and of enqueue without
		// a terminal, else a sentence.
		waits   string
		logging bool
	}{
		{name: "unknown flag", args: []string{"run", "docs", "--nope"}, code: 2, says: []string{"--nope", "--help"}, lines: 2},
		{name: "unknown command", args: []string{"rnu", "docs"}, code: 2, says: []string{"rnu", "run"}, lines: 2},
		{name: "unknown command of dead", args: []string{"dead", "lsit"}, code: 2, says: []string{"lsit", "list"}, lines: 2},
		{name: "no source given", args: []string{"run"}, code: 2, says: []string{"source", "folder"}, lines: 2},
		{name: "no such source", args: []string{"run", "dosc"}, code: 1, says: []string{"dosc"}},
		{name: "no such source to enqueue", args: []string{"enqueue", "dosc", "--dry-run"}, code: 1, says: []string{"dosc"}},
		{name: "no such scheme", args: []string{"run", "ftp://host/docs"}, code: 1, says: []string{"ftp", "s3://"}},
		{name: "wrong number", args: []string{"run", "docs", "--words", "many"}, code: 2, says: []string{"--words", "many"}},
		{
			name: "all wrong settings at once", args: []string{"run", "docs", "--words", "0", "--retry-base", "soon"}, env: []string{"GISTMILL_CONCURRENCY=-1"},
			code: 2, says: []string{"--words", "--retry-base", "GISTMILL_CONCURRENCY"}, lines: 3,
		},
		{name: "wrong time", args: []string{"run", "docs", "--since", "yesterday"}, code: 2, says: []string{"--since", "36h"}, lines: 2},
		{name: "wrong glob", args: []string{"run", "docs", "--include", "[a"}, code: 2, says: []string{"[a"}, lines: 2},
		{name: "wrong format", args: []string{"status", "-o", "yaml"}, code: 2, says: []string{"json"}, lines: 2},
		{name: "no config file", args: []string{"run", "docs", "--config", "missing.yaml"}, code: 2, says: []string{"missing.yaml"}},
		{name: "config is a folder", args: []string{"run", "docs", "--config", "docs"}, code: 2, says: []string{"docs"}},
		{name: "config is no YAML", args: []string{"run", "docs", "--config", "broken.yaml"}, code: 2, says: []string{"broken.yaml"}},
		{name: "unknown key in the config", args: []string{"run", "docs", "--config", "unknown.yaml"}, code: 2, says: []string{"unknown.yaml", "wrods"}},
		{name: "no prompt file", args: []string{"run", "docs", "--model", "m", "--base-url", "http://" + closed, "--prompt", "missing.md"}, code: 2, says: []string{"missing.md"}},
		{name: "broken prompt", args: []string{"run", "docs", "--model", "m", "--base-url", "http://" + closed, "--prompt", "broken.md"}, code: 2, says: []string{"prompt"}},
		{name: "broken schema", args: []string{"run", "docs", "--model", "m", "--base-url", "http://" + closed, "--schema", "broken.yaml"}, code: 2, says: []string{"schema"}},
		{name: "a model without an endpoint", args: []string{"run", "docs", "--model", "gpt-4o-mini"}, code: 2, says: []string{"OPENAI_API_KEY", "base-url"}},
		{name: "enqueue without a queue", args: []string{"enqueue", "docs"}, code: 2, says: []string{"--redis"}},
		{name: "worker without a queue", args: []string{"worker"}, code: 2, says: []string{"--redis"}},
		{name: "standard input for a queue", args: []string{"enqueue", "-", "--redis", "redis://" + closed}, code: 2, says: []string{"gistmill run -"}, lines: 2},
		{name: "store of no kind", args: []string{"status", "--store", "mysql://host/db"}, code: 2, says: []string{"--store", "sqlite:", "postgres://"}},
		{name: "store is no SQLite file", args: []string{"run", "docs", "--store", "sqlite:notes.txt"}, code: 1, says: []string{"notes.txt", "--store"}},
		{name: "store is a folder", args: []string{"run", "docs", "--store", "sqlite:docs"}, code: 1, says: []string{"docs", "--store"}},
		{
			name: "no PostgreSQL", args: []string{"run", "docs"}, env: []string{"GISTMILL_STORE=postgres://me:sesame@" + closed + "/gistmill"},
			code: 1, says: []string{closed, "GISTMILL_STORE"}, never: "sesame", waits: "waiting for the ledger at postgres://me:xxxxx@" + closed,
		},
		{
			name: "no Redis for enqueue", args: []string{"enqueue", "docs", "--model", "extractive"}, env: []string{"GISTMILL_REDIS=redis://:sesame@" + closed},
			code: 1, says: []string{closed, "GISTMILL_REDIS"}, never: "sesame", waits: "waiting for Redis at redis://:xxxxx@" + closed, logging: true,
		},
		{
			name: "no Redis for a worker", args: []string{"worker", "--redis", "redis://" + closed, "--exit-when-idle"},
			code: 1, says: []string{closed, "--redis"}, waits: "waiting for Redis at redis://" + closed, logging: true,
		},
		{name: "no run yet", args: []string{"status"}, code: 1, says: []string{"no run"}},
		{name: "unknown run", ledger: true, args: []string{"status", "no-such-run"}, code: 1, says: []string{"no-such-run", "gistmill runs"}},
		{name: "unknown run to pause", ledger: true, args: []string{"pause", "no-such-run"}, code: 1, says: []string{"no-such-run", "gistmill runs"}},
		{name: "no run named", args: []string{"cancel"}, code: 2, says: []string{"gistmill runs"}, lines: 2},
		{name: "unknown document", ledger: true, args: []string{"show", "no-such-file.txt"}, code: 1, says: []string{"no-such-file.txt"}},
		{name: "unknown age", args: []string{"prune", "--older-than", "soon"}, code: 2, says: []string{"soon"}, lines: 2},
		{name: "export nowhere", args: []string{"export"}, code: 2, says: []string{"export"}, lines: 2},
		{name: "export to no format", args: []string{"export", "out.x", "--format", "xlsx"}, code: 2, says: []string{"xlsx", "jsonl", "csv", "parquet", "markdown"}, lines: 2},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, nil)
			u.notes(0, 1)
			if tc.ledger {
				u.run("migrate").WantCode(0)
			}
			u.env = tc.env
			for name, text := range map[string]string{
				"notes.txt": strings.Repeat("This is no database. ", 100), "broken.yaml": "words: [1, 2\nmodel: {", "unknown.yaml": "wrods: 100\n",
				"broken.md": "Summarize {{.Text",
			} {
				if err := os.WriteFile(u.path(name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			r := u.run(tc.args...).WantCode(tc.code).Says(tc.says...)
			if r.Stdout != "" {
				t.Errorf("stdout is not empty:\n%s", r.Stdout)
			}
			lines := strings.Split(strings.TrimSpace(r.Stderr), "\n")
			if tc.waits != "" {
				if said := sentence(t, lines[0], tc.logging); !strings.HasPrefix(said, tc.waits) {
					t.Errorf("the first line is %q, want %s", lines[0], tc.waits)
				}
				lines = lines[1:]
			}
			if len(lines) > max(tc.lines, 1) {
				t.Errorf("%d lines, want at most %d:\n%s", len(lines), max(tc.lines, 1), r.Stderr)
			}
			if len(lines) == 0 {
				t.Errorf("no line says what is wrong:\n%s", r.Stderr)
			}
			for _, line := range lines {
				if !strings.HasPrefix(line, "gistmill: ") {
					t.Errorf("a line of another kind: %q", line)
				}
			}
			if tc.never != "" && strings.Contains(r.Stderr, tc.never) {
				t.Errorf("prints a secret:\n%s", r.Stderr)
			}
			// Redis and the ledger are tried for 15 s; the rest is for the start on a loaded machine.
			if r.Took > 20*time.Second {
				t.Errorf("took %s", r.Took)
			}
			if _, err := os.Stat(u.path("summaries")); err == nil {
				t.Error("there is an output folder")
			}
		})
	}
}

// sentence returns what a line of stderr says that the program does, in a log record or a sentence.
func sentence(t *testing.T, line string, logging bool) string {
	t.Helper()
	if !logging {
		said, ok := strings.CutPrefix(line, "gistmill: ")
		if !ok {
			t.Errorf("a line of another kind: %q", line)
		}
		return said
	}
	var record struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Doing string `json:"doing"`
	}
	if err := json.Unmarshal([]byte(line), &record); err != nil || record.Level != "INFO" || record.Msg != "not done yet" {
		t.Errorf("no log record for information: %q (%v)", line, err)
	}
	return record.Doing
}

// Without Redis, status shows in time what the ledger has, and says what is missing.
func TestStatusWithoutRedis(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.notes(0, 3)
	u.run("run", "docs", "--base-url", u.url).WantCode(0)
	closed := closedPort(t)
	u.env = []string{"GISTMILL_REDIS=redis://:sesame@" + closed}
	text := u.run("status").WantCode(0)
	for _, want := range []string{"3 done", "unreachable", closed} {
		if !strings.Contains(text.Stdout, want) {
			t.Errorf("status does not show %q:\n%s", want, text.Stdout)
		}
	}
	var view struct {
		Queue       any      `json:"queue"`
		Unreachable []string `json:"unreachable"`
	}
	object := u.run("status", "-o", "json").WantCode(0)
	object.Decode(&view)
	if view.Queue != nil || len(view.Unreachable) != 1 || !strings.HasPrefix(view.Unreachable[0], "redis: ") || !strings.Contains(view.Unreachable[0], closed) {
		t.Errorf("queue %v, unreachable %q", view.Queue, view.Unreachable)
	}
	for _, r := range []programtest.Result{text, object} {
		if strings.Contains(r.Stdout+r.Stderr, "sesame") {
			t.Errorf("prints a secret:\n%s%s", r.Stdout, r.Stderr)
		}
		// It answers after 2 s; the rest is for the start on a loaded machine.
		if r.Took > 5*time.Second {
			t.Errorf("took %s", r.Took)
		}
	}
	u.wantTotals("finished", programtest.Totals{Total: 3, Done: 3})
}

// An empty source is not an error, but worth a warning.
func TestEmptySource(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	u.run("run", "docs").WantCode(0).Says("warning", "no documents")
	u.wantTotals("finished", programtest.Totals{})
}

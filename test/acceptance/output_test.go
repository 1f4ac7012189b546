//go:build integration

package acceptance

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/program/programtest"
)

// Only results go to stdout. Every listing is available as JSON, also when it is empty.
func TestOutput(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const key = "sk-secret-of-the-test"
	u.env = []string{"OPENAI_API_KEY=" + key}
	u.run("migrate").WantCode(0)
	listings := [][]string{{"runs"}, {"dead", "list"}, {"config"}}
	for _, args := range listings[:2] {
		if r := u.run(append(args, "-o", "json")...).WantCode(0); strings.TrimSpace(r.Stdout) != "[]" || r.Stderr != "" {
			t.Errorf("%v of an empty ledger: stdout %q, stderr %q, want []", args, r.Stdout, r.Stderr)
		}
	}
	const n = 20
	u.notes(0, n)
	u.write("refused.txt", []byte(note(100)+"FAKELLM-FILTER\n"))
	var preview any
	u.run("enqueue", "docs", "--dry-run", "--base-url", u.url, "-o", "json").WantCode(0).Decode(&preview)
	if calls := u.fake.Stats().Calls; calls != 0 {
		t.Errorf("a dry run made %d calls", calls)
	}

	r := u.summarize("--out", "-").Wait().WantCode(3)
	if got := decodeLines(t, r.Stdout); len(got) != n {
		t.Errorf("%d summaries on stdout, want %d", len(got), n)
	}
	first := strings.SplitN(r.Stdout, "\n", 2)[0]
	var fields map[string]any
	if err := json.Unmarshal([]byte(first), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"uri", "content_sha256", "summary", "model", "profile", "tokens_in", "tokens_out", "cost_usd", "chunks", "checks"} {
		if _, ok := fields[name]; !ok {
			t.Errorf("a line of the output has no %s: %s", name, first)
		}
	}
	if _, ok := fields["output"]; ok {
		t.Error("there is an output field without a schema of one's own")
	}
	r = u.summarize().Wait().WantCode(3)
	if r.Stdout != "" {
		t.Errorf("stdout is not empty:\n%s", r.Stdout)
	}
	if strings.ContainsAny(r.Stderr, "\x1b\r") {
		t.Errorf("terminal codes in output that is no terminal:\n%q", r.Stderr)
	}
	if again := u.summarize("--out", "-").Wait().WantCode(3); len(decodeLines(t, again.Stdout)) != n {
		t.Errorf("a second run gives %d lines, want the %d of the source", len(decodeLines(t, again.Stdout)), n)
	}

	run := u.status().Run
	for _, args := range append(listings, []string{"status", run}, []string{"show", noteName(1)}, []string{"show", "refused.txt"}) {
		var v any
		r := u.run(append(args, "-o", "json")...).WantCode(0)
		r.Decode(&v)
		if r.Stderr != "" {
			t.Errorf("%v -o json prints on stderr: %s", args, r.Stderr)
		}
		text := u.run(args...).WantCode(0)
		if text.Stdout == "" || strings.Contains(text.Stdout+r.Stdout, key) {
			t.Errorf("%v: stdout is empty or contains a secret:\n%s", args, text.Stdout)
		}
	}

	watched := u.run("status", "--watch", "-o", "json").WantCode(3)
	d := json.NewDecoder(strings.NewReader(watched.Stdout))
	var last programtest.Status
	for d.More() {
		if err := d.Decode(&last); err != nil {
			t.Fatalf("status --watch: %v\n%s", err, watched.Stdout)
		}
	}
	if last.State != "finished" || last.Documents != (programtest.Totals{Total: n + 1, Skipped: n, Dead: 1}) {
		t.Errorf("status --watch ends with %+v", last)
	}
}

//go:build integration

package acceptance

import (
	"encoding/json"
	"strings"
	"testing"
)

// Results go to stdout and nothing else does; every listing is JSON on request, an empty one too.
func TestOutput(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	const key = "sk-nobody-may-see-this"
	u.env = []string{"OPENAI_API_KEY=" + key}
	listings := [][]string{{"runs"}, {"dead", "list"}, {"config"}}
	for _, args := range listings[:2] {
		if r := u.run(append(args, "-o", "json")...).wantCode(0); strings.TrimSpace(r.stdout) != "[]" || r.stderr != "" {
			t.Errorf("%v of an empty ledger: stdout %q, stderr %q, want []", args, r.stdout, r.stderr)
		}
	}
	const n = 20
	u.notes(0, n)
	u.write("refused.txt", []byte(note(100)+"FAKELLM-FILTER\n"))
	var preview any
	u.run("enqueue", "docs", "--dry-run", "--base-url", u.url, "-o", "json").wantCode(0).decode(&preview)
	if calls := u.fake.Stats().Calls; calls != 0 {
		t.Errorf("a dry run made %d calls", calls)
	}

	r := u.summarize("--out", "-").wait().wantCode(3)
	if got := decodeLines(t, r.stdout); len(got) != n {
		t.Errorf("%d summaries on stdout, want %d", len(got), n)
	}
	first := strings.SplitN(r.stdout, "\n", 2)[0]
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
	r = u.summarize().wait().wantCode(3)
	if r.stdout != "" {
		t.Errorf("stdout is not empty:\n%s", r.stdout)
	}
	if strings.ContainsAny(r.stderr, "\x1b\r") {
		t.Errorf("there are codes for a terminal where there is none:\n%q", r.stderr)
	}
	if again := u.summarize("--out", "-").wait().wantCode(3); len(decodeLines(t, again.stdout)) != n {
		t.Errorf("a second run gives %d lines, want the %d of the source", len(decodeLines(t, again.stdout)), n)
	}

	run := u.status().Run
	for _, args := range append(listings, []string{"status", run}, []string{"show", noteName(1)}, []string{"show", "refused.txt"}) {
		var v any
		r := u.run(append(args, "-o", "json")...).wantCode(0)
		r.decode(&v)
		if r.stderr != "" {
			t.Errorf("%v -o json says on stderr: %s", args, r.stderr)
		}
		text := u.run(args...).wantCode(0)
		if text.stdout == "" || strings.Contains(text.stdout+r.stdout, key) {
			t.Errorf("%v: nothing, or a secret, on stdout:\n%s", args, text.stdout)
		}
	}

	watched := u.run("status", "--watch", "-o", "json").wantCode(3)
	d := json.NewDecoder(strings.NewReader(watched.stdout))
	var last status
	for d.More() {
		if err := d.Decode(&last); err != nil {
			t.Fatalf("status --watch: %v\n%s", err, watched.stdout)
		}
	}
	if last.State != "finished" || last.Documents != (totals{Total: n + 1, Skipped: n, Dead: 1}) {
		t.Errorf("status --watch ends with %+v", last)
	}
}

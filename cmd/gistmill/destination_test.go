package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

// When the output cannot be written at the end, the message says where the summaries are and how to
// get them, and they are there.
func TestOutputThatFailsAtTheEnd(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt", "docs/b.txt")
	p.called.Store(context.CancelFunc(func() {
		if err := os.RemoveAll(p.path("out")); err != nil {
			t.Error(err)
		}
	}))
	r := p.does("run", p.path("docs"), "--yes")
	if r.code != exitFailed || !strings.Contains(r.stderr, "all summaries are in the ledger") || !strings.Contains(r.stderr, "gistmill export DEST") ||
		!strings.Contains(r.stderr, p.path("ledger.db")) {
		t.Errorf("exit code %d", r.code)
	}
	if r := p.does("export", p.path("all.jsonl")); r.code != exitOK || !strings.Contains(r.stderr, "2 summaries to") || r.calls != 0 {
		t.Errorf("exit code %d, %d calls", r.code, r.calls)
	}
}

// An export that is interrupted leaves the old file, and no other.
func TestInterruptedExport(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("docs/a.txt")
	p.does("run", p.path("docs"), "--yes", "--out", "none")
	if err := os.WriteFile(p.path("all.jsonl"), []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := p.runs(ctx, strings.NewReader(""), false, "export", p.path("all.jsonl")); r.code == exitOK {
		t.Errorf("exit code %d", r.code)
	}
	if b, err := os.ReadFile(p.path("all.jsonl")); string(b) != "old\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".gistmill") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

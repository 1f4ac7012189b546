package terminal

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestSentences(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	log := slog.New(NewHandler(&b, slog.LevelWarn)).With("worker", 1)
	log.Info("not shown")
	log.Warn("document dead-lettered", "doc", "a.txt", "class", "input", "message", "empty document", "attempt", 1)
	log.WithGroup("x").Error("step panicked", "error", errors.New("two\nlines\x1b[2J"), "after", 1500*time.Millisecond)
	want := "gistmill: warning: document dead-lettered: a.txt: empty document (input)\n" +
		"gistmill: error: step panicked: two lines[2J (after 1.5s)\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// Of thousands of dead documents, the first are written, and then one a minute with a count.
func TestRepetitionsAreCounted(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	h := NewHandler(&b, slog.LevelWarn)
	begun := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for i := range 1300 {
		r := slog.NewRecord(begun.Add(time.Duration(i)*100*time.Millisecond), slog.LevelWarn, "dead", 0)
		r.AddAttrs(slog.String("doc", fmt.Sprint(i)))
		if err := h.Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	h.Flush()
	h.Flush()
	want := "gistmill: warning: dead: 0\ngistmill: warning: dead: 1\ngistmill: warning: dead: 2\ngistmill: warning: dead: 3\n" +
		"gistmill: warning: dead: 4\ngistmill: warning: dead: 604 (and 599 more)\ngistmill: warning: dead: 1204 (and 599 more)\n" +
		"gistmill: warning: dead: 95 more\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

func TestDurationsHaveUnits(t *testing.T) {
	t.Parallel()
	for _, json := range []bool{true, false} {
		var b strings.Builder
		NewLog(&b, json, slog.LevelInfo).Info("failed", "after", 22540292*time.Nanosecond, slog.Group("g", "grace", 130*time.Second))
		if got := b.String(); !strings.Contains(got, "22.540292ms") || !strings.Contains(got, "2m10s") || strings.Contains(got, "130000000000") {
			t.Errorf("json %v: %s", json, got)
		}
	}
}

func TestJSONLogIsTerminalSafe(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	NewLog(New(&b, "xterm"), true, slog.LevelInfo).Info("name", "doc", "a\u202eb\x1b")
	if !strings.Contains(b.String(), `a\u202eb\u001b`) {
		t.Error(b.String())
	}
}

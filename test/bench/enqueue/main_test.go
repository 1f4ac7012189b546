package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// Every document is valid, has the requested length and is unique.
func TestLines(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int{leastBytes, 200, 1000} {
		b := bench{bytes: bytes}
		texts := map[string]bool{}
		for _, n := range []int{0, 1, 9, 10, 999_999, 1_000_000, 99_999_999} {
			var document struct{ ID, Text string }
			line := string(b.line(n))
			if err := json.Unmarshal([]byte(line), &document); err != nil || !strings.HasSuffix(line, "}\n") || document.ID != id(n) {
				t.Errorf("document %d is %q (%v)", n, line, err)
			}
			if len(document.Text) != bytes {
				t.Errorf("document %d has %d bytes, want %d", n, len(document.Text), bytes)
			}
			texts[document.Text] = true
		}
		if len(texts) != 7 {
			t.Errorf("%d texts differ of 7", len(texts))
		}
	}
}

// A wrong count fails the measurement. The number of tasks may vary.
func TestExpect(t *testing.T) {
	t.Parallel()
	want := planned{Listed: 10, New: 1, Skipped: 9}
	for _, c := range []struct {
		got planned
		ok  bool
	}{
		{planned{Listed: 10, New: 1, Skipped: 9, Tasks: 1}, true},
		{planned{Listed: 10, New: 1, Skipped: 9, Tasks: 3}, true},
		{planned{Listed: 10, New: 1, Skipped: 9}, false},
		{planned{Listed: 10, New: 2, Skipped: 8, Tasks: 1}, false},
		{planned{}, false},
	} {
		if err := c.got.expect(want); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.got, err)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	t.Setenv("GISTMILL_TEST_POSTGRES", "")
	t.Setenv("GISTMILL_TEST_REDIS", "")
	for _, args := range [][]string{
		{}, {"-store", "postgres://localhost/x"}, {"-nonsense"},
		{"-store", "postgres://localhost/x", "-redis", "redis://localhost", "-bytes", "3"},
		{"-store", "postgres://localhost/x", "-redis", "redis://localhost", "-lines", "0"},
	} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	r := result{here: "- command: x\n", servers: "some", lines: 7, rows: []row{{name: "one", took: 1500 * time.Millisecond, peak: 5 << 20}, {name: "two", processor: time.Second}}}
	text := r.markdown()
	for _, want := range []string{"| one | 1.5 | – | 5 |", "| two | 0.0 | 1.0 | – |", "- command: x\n- servers: some\n", "of 7 documents"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

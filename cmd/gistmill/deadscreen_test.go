package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
	"github.com/gistmill/gistmill/test/program/screen"
)

// newFailed returns a folder with a run of 30 documents that the endpoint refused, and one of a
// document that it summarized.
func newFailed(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t, 30, func(c *fakellm.Config) { c.FilterMarker = "printer" })
	d.write("good.jsonl", `{"id":"G-1","text":"`+strings.Repeat("The harbour has three cranes, and one of them lifts coal. ", 20)+`"}`+"\n")
	d.do(exitDead, d.paid("--max-attempts", "1", "--yes")...)
	d.do(exitOK, "run", "good.jsonl", "--model", "gpt-4", "--base-url", d.url, "--yes")
	return d
}

// do runs a command without a terminal and returns its standard output.
func (d *desk) do(code int, args ...string) string {
	d.t.Helper()
	var out strings.Builder
	command := d.command(args...)
	command.Stdout, command.Stderr = &out, d.t.Output()
	_ = command.Run() // the code tells
	if got := command.ProcessState.ExitCode(); got != code {
		d.t.Fatalf("%v exits with %d, want %d", args, got, code)
	}
	return out.String()
}

// What is listed and shown fits the terminal: the program breaks or cuts each line itself.
func TestListsFitTheTerminal(t *testing.T) {
	d := newFailed(t)
	for _, test := range []struct {
		columns int
		args    []string
	}{
		{80, []string{"dead", "list"}},
		{30, []string{"dead", "list"}},
		{80, []string{"dead", "list", "--summary"}},
		{80, []string{"dead", "show", "tickets.jsonl#T-7"}},
		{80, []string{"runs"}},
		{30, []string{"runs"}},
		{80, []string{"show", "good.jsonl#G-1"}},
	} {
		s := d.start(test.columns, 24, test.args...)
		wantCode(t, s, exitOK)
		for line := range strings.SplitSeq(s.Raw(), "\n") {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\r")); n > test.columns && !strings.HasPrefix(line, "gistmill: ") {
				t.Errorf("%v: a line of %d columns, the terminal has %d: %s", test.args, n, test.columns, line)
			}
		}
	}
	s := d.start(80, 24, "dead", "list")
	wantCode(t, s, exitOK)
	for _, want := range []string{"--summary", "T-29", "refused", "…"} {
		if !strings.Contains(s.Text(), want) {
			t.Errorf("no %q on the screen:\n%s", want, s.Text())
		}
	}
	if wide := d.do(exitOK, "dead", "list"); !strings.Contains(wide, "(status 400, content_filter)\n") {
		t.Errorf("without a terminal the message is cut:\n%s", wide)
	}
	s = d.start(80, 24, "dead", "list", "--limit", "1", "-o", "wide")
	wantCode(t, s, exitOK)
	if !strings.Contains(s.Raw(), "(status 400, content_filter)\r\n") {
		t.Errorf("-o wide cuts:\n%s", s.Raw())
	}
}

// Whatever destroys something asks on a terminal. Another answer than yes changes nothing.
func TestQuestionsBeforeDestroying(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args     []string
		question string
		kept     []string // lists what is destroyed
	}{
		{[]string{"dead", "drop", "--class", "refused"}, "Drop 30 dead letters (30 refused)? [y/N]", []string{"dead", "list"}},
		{[]string{"dead", "drop", "--all"}, "Drop 30 dead letters (30 refused)? [y/N]", []string{"dead", "list"}},
		{[]string{"cancel", "RUN"}, "permanently, with 30 documents to do?", []string{"runs"}},
		{[]string{"prune", "--older-than", "0s"}, "Delete 0 runs", []string{"prune", "--older-than", "0s", "--dry-run"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			d := newFailed(t)
			args := test.args
			if args[0] == "cancel" {
				run := strings.Fields(strings.Split(d.do(exitOK, "runs"), "\n")[2])[0]
				d.do(exitOK, "dead", "retry", "--run", run)
				args = []string{"cancel", run}
			}
			before := d.do(exitOK, test.kept...)
			for answer, code := range map[string]int{"n\n": exitFailed, "\n": exitFailed, screen.CtrlC: exitInterrupted} {
				s := d.start(80, 24, args...)
				s.Until(test.question)
				s.Until("[y/N]")
				s.Type(answer)
				wantCode(t, s, code)
				if after := d.do(exitOK, test.kept...); after != before {
					t.Errorf("after %q:\n%s\nwas\n%s", answer, after, before)
				}
			}
			s := d.start(80, 24, args...)
			s.Until("[y/N]")
			s.Type("y\n")
			wantCode(t, s, exitOK)
			if after := d.do(exitOK, test.kept...); after == before {
				t.Errorf("yes changes nothing:\n%s", after)
			}
		})
	}

	t.Run("without a question", func(t *testing.T) {
		d := newFailed(t)
		s := d.start(80, 24, "dead", "drop")
		wantCode(t, s, exitUsage)
		if !strings.Contains(s.All(), "this would drop 30 dead letters (30 refused)") {
			t.Errorf("no hint:\n%s", s.All())
		}
		s = d.start(80, 24, "dead", "drop", "--all", "--yes")
		wantCode(t, s, exitOK)
		if strings.Contains(s.All(), "[y/N]") {
			t.Errorf("asked in spite of --yes:\n%s", s.All())
		}
	})
}

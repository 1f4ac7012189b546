package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/charmbracelet/x/vt"
)

// newEmulated returns a Terminal on an emulated one.
func newEmulated(columns, rows int) (*Terminal, *vt.Emulator) {
	emulator := vt.NewEmulator(columns, rows)
	_, _ = emulator.WriteString("\x1b[20h") // LNM: the kernel turns a newline into CR and LF
	t := New(emulator, "xterm")
	t.size = func() (int, int) { return emulator.Width(), emulator.Height() }
	return t, emulator
}

func screenOf(e *vt.Emulator) string {
	lines := strings.Split(e.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \r")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func lines(all ...string) Area { return func(int) []string { return all } }

func wantScreen(t *testing.T, e *vt.Emulator, want string) {
	t.Helper()
	if got := screenOf(e); got != want {
		t.Errorf("the screen shows\n%s\nwant\n%s", got, want)
	}
}

func TestLinesAreAboveTheArea(t *testing.T) {
	t.Parallel()
	term, e := newEmulated(30, 6)
	fmt.Fprintln(term, "first")
	term.Show(lines("bar 1", "waiting"))
	fmt.Fprintln(term, "second")
	wantScreen(t, e, "first\nsecond\nbar 1\nwaiting")
	term.Show(lines("bar 2"))
	wantScreen(t, e, "first\nsecond\nbar 2")
	for i := range 5 { // beyond the end of the screen
		fmt.Fprintln(term, "line", i)
	}
	term.Show(lines("bar 3", "waiting"))
	wantScreen(t, e, "line 1\nline 2\nline 3\nline 4\nbar 3\nwaiting")
	term.Hide()
	wantScreen(t, e, "line 1\nline 2\nline 3\nline 4")
}

// A terminal that becomes narrower cuts or breaks the lines of the area. None of them stays.
func TestNarrowerTerminal(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70)
	for name, narrow := range map[string]func(e *vt.Emulator){
		"cuts": func(e *vt.Emulator) { e.Resize(30, 8) },
		// VTE, tmux and kitty do this, and their cursor stays with its text.
		"breaks": func(e *vt.Emulator) {
			e.Resize(30, 8)
			_, _ = e.WriteString("\x1b7\r\x1b[J" + long[:30] + "\r\n" + long[:30] + "\r\n" + long[:10] + "\x1b8")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			term, e := newEmulated(80, 8)
			fmt.Fprintln(term, "kept")
			term.Show(lines(long))
			narrow(e)
			fmt.Fprintln(term, "more")
			wantScreen(t, e, "kept\nmore\n"+long[:28]+"…")
			term.Hide()
			wantScreen(t, e, "kept\nmore")
		})
	}
}

func TestControlCharactersAreNotWritten(t *testing.T) {
	t.Parallel()
	term, e := newEmulated(30, 4)
	fmt.Fprintln(term, "a\x1b[2Jb\u009b1m")
	term.Show(lines("c\x1b[2J\r\nd"))
	wantScreen(t, e, "a[2Jb1m\nc[2J d")
}

// Sentences break between words. Commands stay whole, and so do lines that are not for people.
func TestSentencesBreakBetweenWords(t *testing.T) {
	t.Parallel()
	term, e := newEmulated(30, 12)
	fmt.Fprintln(term, "gistmill: warning: 3 documents are dead; see `gistmill dead list --summary -o json`, and retry")
	fmt.Fprintln(term, "gistmill: to start, type: gistmill run ./docs --model m --yes")
	fmt.Fprintln(term, `{"level":"INFO","msg":"a record is for programs"}`)
	wantScreen(t, e, `gistmill: warning: 3
  documents are dead; see
  `+"`gistmill dead list --summar\ny -o json`,"+`
  and retry
gistmill: to start, type:
  gistmill run ./docs --model
m --yes
{"level":"INFO","msg":"a recor
d is for programs"}`)
	var b strings.Builder
	fmt.Fprintln(New(&b, "xterm"), Prefix+strings.Repeat("word ", 30)+"end")
	if b.String() != Prefix+strings.Repeat("word ", 30)+"end\n" {
		t.Errorf("not a terminal: %q", b.String())
	}
}

// A question breaks between words, too. The answer is typed on its last line.
func TestQuestionBreaksBetweenWords(t *testing.T) {
	t.Parallel()
	term, e := newEmulated(30, 5)
	yes, err := term.Ask(t.Context(), readerFunc(func(p []byte) (int, error) {
		_, _ = e.WriteString("y\r\n")
		return copy(p, "y\n"), nil
	}), "Go on with the other 57 documents of the source?")
	if err != nil || !yes {
		t.Errorf("%v, %v", yes, err)
	}
	wantScreen(t, e, "Go on with the other 57\n  documents of the source?\n  [y/N] y")
}

func TestNoAreaWithoutCursor(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, termType := range []string{"xterm", "dumb", ""} {
		term := New(&b, termType) // not a terminal
		if termType != "xterm" {
			term.size = func() (int, int) { return 80, 24 }
		}
		term.Show(lines("bar"))
		fmt.Fprintln(term, "line")
		term.Hide()
		if b.String() != "line\n" {
			t.Errorf("TERM=%s: %q", termType, b.String())
		}
		b.Reset()
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, "YES\r\n": true, "n\n": false, "\n": false, "yep\n": false, "": false, "y": true} {
		var b strings.Builder
		got, err := New(&b, "xterm").Ask(t.Context(), strings.NewReader(answer), "Continue?")
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
	}
}

// While a question waits for its answer, nothing is written behind it.
func TestLinesWaitForTheAnswer(t *testing.T) {
	t.Parallel()
	term, e := newEmulated(30, 5)
	term.Show(lines("bar"))
	in, typed := io.Pipe()
	done := make(chan bool)
	asking := readerFunc(func(p []byte) (int, error) {
		fmt.Fprintln(term, "a log line")
		term.Show(lines("bar 2"))
		wantScreen(t, e, "Continue? [y/N]")
		_, _ = e.WriteString("y\r\n") // the kernel's echo
		return in.Read(p)
	})
	go func() {
		yes, err := term.Ask(t.Context(), asking, "Continue?")
		done <- yes && err == nil
	}()
	if _, err := typed.Write([]byte("y\n")); err != nil || !<-done {
		t.Errorf("not answered: %v", err)
	}
	wantScreen(t, e, "Continue? [y/N] y\na log line\nbar 2")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAskEndsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	defer typed.Close()
	var b strings.Builder
	asking := readerFunc(func(p []byte) (int, error) {
		cancel()
		return in.Read(p)
	})
	if _, err := New(&b, "xterm").Ask(ctx, asking, "Continue?"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

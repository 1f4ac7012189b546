// Package terminal writes what people read on standard error. Lines, logs, questions and the
// transient area below them go through one [Terminal], so that none overwrites another.
//
// It owns where and when something is written. It refuses to own what it says.
package terminal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/gistmill/gistmill/internal/text"
)

// defaultWidth and defaultHeight are the size in columns and rows of a terminal that does not tell
// its own.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// An Area returns the lines to show for a width in columns. The terminal cuts longer lines.
type Area func(width int) []string

// Terminal is the only writer of a process' standard error. It is safe for concurrent use.
type Terminal struct {
	mu    sync.Mutex
	out   io.Writer
	size  func() (width, height int) // nil: not a terminal
	dumb  bool
	area  Area
	drawn bool
	// held is what is written while a question waits for its answer: it would take the question
	// off the line that the user types on.
	held   bytes.Buffer
	asking bool
}

// New returns a Terminal that writes to out. termType is the variable TERM.
func New(out io.Writer, termType string) *Terminal {
	t := &Terminal{out: out, dumb: termType == "" || termType == "dumb"}
	if IsTerminal(out) {
		t.size = func() (int, int) { return size(out) }
	}
	return t
}

// IsTerminal reports whether a stream is a terminal. A stream with a method IsTerminal, as tests
// have, says itself whether it is.
func IsTerminal(stream any) bool {
	if s, ok := stream.(interface{ IsTerminal() bool }); ok {
		return s.IsTerminal()
	}
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// size returns the columns and rows of a terminal.
func size(stream any) (width, height int) {
	if file, ok := stream.(*os.File); ok {
		width, height, err := term.GetSize(int(file.Fd()))
		if err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return defaultWidth, defaultHeight
}

// IsTerminal reports whether a person may be reading.
func (t *Terminal) IsTerminal() bool { return t.size != nil }

// Width returns the columns of the terminal, or 0 if it is none.
func (t *Terminal) Width() int {
	if t.size == nil {
		return 0
	}
	width, _ := t.size()
	return width
}

// CanRedraw reports whether [Terminal.Show] shows anything: the output is a terminal that can move
// its cursor.
func (t *Terminal) CanRedraw() bool { return t.size != nil && !t.dumb }

// Write writes complete lines above the transient area, without characters that control a terminal.
// On a terminal it breaks lines for people, which begin with [Prefix], between words. It never
// fails: a command works on even if its output is closed.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	safe := t.wrap(text.TerminalSafe(string(p)))
	if t.asking {
		t.held.WriteString(safe)
		return len(p), nil
	}
	t.draw(safe)
	return len(p), nil
}

// hang is before each further line of a sentence.
const hang = "  "

// wrap breaks the lines for people that are too long. The caller holds the lock.
func (t *Terminal) wrap(lines string) string {
	if !t.IsTerminal() {
		return lines
	}
	var b strings.Builder
	for line := range strings.Lines(lines) {
		if strings.HasPrefix(line, Prefix) {
			sentence, end := strings.CutSuffix(line, "\n")
			line = t.fit(sentence)
			if end {
				line += "\n"
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// fit breaks a sentence if it is too long for the terminal.
func (t *Terminal) fit(sentence string) string {
	width := t.Width()
	if width == 0 || runewidth.StringWidth(sentence) < width {
		return sentence
	}
	return strings.Join(text.Hang(sentence, width-1, hang), "\n")
}

// Show shows lines below everything else, in place of those shown before. It has no effect if
// [Terminal.CanRedraw] is false.
func (t *Terminal) Show(area Area) {
	if !t.CanRedraw() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.area = area
	if !t.asking {
		t.draw("")
	}
}

// Hide removes the transient area.
func (t *Terminal) Hide() { t.Show(nil) }

// Interrupted notes that Ctrl-C was typed: the terminal has written ^C where its cursor was.
func (t *Terminal) Interrupted() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.IsTerminal() || t.asking: // Ask ends the line
	case t.drawn:
		t.draw("")
	default:
		t.draw("\n")
	}
}

// draw writes text and the transient area after it, in one write. The caller holds the lock.
//
// The cursor rests at the beginning of the area. When a terminal becomes narrower it may break the
// lines of the area into more lines, but the cursor stays with the text after it, and erasing from
// there to the end of the display removes all of them. See ECMA-48, ED and CUU.
func (t *Terminal) draw(text string) {
	var b strings.Builder
	if t.drawn {
		b.WriteString("\r\x1b[J")
		t.drawn = false
	}
	b.WriteString(text)
	if t.area != nil {
		if text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
		width, height := t.size()
		lines := t.area(width)
		lines = lines[:min(len(lines), max(1, height-1))]
		for i, line := range lines {
			if i > 0 {
				b.WriteString("\r\n")
			}
			b.WriteString(Cut(line, width-1))
		}
		if len(lines) > 1 {
			fmt.Fprintf(&b, "\x1b[%dA", len(lines)-1)
		}
		b.WriteByte('\r')
		t.drawn = len(lines) > 0
	}
	_, _ = io.WriteString(t.out, b.String())
}

// Ask asks a question that is answered with yes or no, and reports whether the answer is yes. An
// empty answer and the end of in are no. It returns the error of ctx as soon as ctx ends; a
// goroutine then still reads one line of in.
func (t *Terminal) Ask(ctx context.Context, in io.Reader, question string) (yes bool, err error) {
	t.mu.Lock()
	area := t.area
	t.area = nil
	t.draw(t.fit(text.TerminalLine(question)+" [y/N]") + " ")
	t.asking, t.area = true, area
	t.mu.Unlock()

	type reply struct {
		line string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		replies <- reply{line, err}
	}()
	var got reply
	select {
	case got = <-replies:
	case <-ctx.Done():
		got.err = ctx.Err()
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking = false
	rest := t.held.String()
	t.held.Reset()
	if got.err != nil || !t.IsTerminal() { // no newline was typed and echoed
		rest = "\n" + rest
	}
	t.draw(rest)
	if got.err != nil && !errors.Is(got.err, io.EOF) {
		return false, got.err
	}
	switch strings.ToLower(strings.TrimSpace(got.line)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

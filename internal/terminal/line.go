package terminal

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// widestBar and narrowestBar are the columns of a bar without its brackets. A narrower one
	// shows nothing, and is left out.
	widestBar    = 30
	narrowestBar = 8
)

// Cut returns a text as one line of at most width columns. A line that was cut ends with "…".
func Cut(s string, width int) string {
	s = text.TerminalLine(s)
	if runewidth.StringWidth(s) <= width {
		return s
	}
	if width <= 0 {
		return ""
	}
	return runewidth.Truncate(s, width, "…")
}

// CutStart is [Cut] for a text whose end says more than its start, such as a path. A line that was
// cut begins with "…".
func CutStart(s string, width int) string {
	s = text.TerminalLine(s)
	over := runewidth.StringWidth(s) - width
	switch {
	case over <= 0:
		return s
	case width <= 0:
		return ""
	}
	return runewidth.TruncateLeft(s, over+1, "…")
}

// Columns returns the number of columns that a text takes as one line.
func Columns(s string) int { return runewidth.StringWidth(text.TerminalLine(s)) }

// Pad returns a text as one line that is filled with spaces to width columns.
func Pad(s string, width int) string { return runewidth.FillRight(text.TerminalLine(s), width) }

// Width returns the number of columns of the terminal that a stream is, or 0 if it is none.
func Width(stream any) int {
	if !IsTerminal(stream) {
		return 0
	}
	width, _ := size(stream)
	return width
}

// Bar returns a line of at most width columns: before, a bar that shows done of total, and after.
// Where there is no room for the bar it is left out.
func Bar(width int, before string, done, total int64, after string) string {
	room := min(widestBar, width-runewidth.StringWidth(before)-runewidth.StringWidth(after)-len(" [] "))
	if room < narrowestBar {
		return Cut(before+" "+after, width)
	}
	full := 0
	if total > 0 {
		full = int(min(int64(room), max(0, done)*int64(room)/total))
	}
	fill := strings.Repeat("=", full)
	if full < room {
		fill += ">" + strings.Repeat(" ", room-full-1)
	}
	return Cut(before+" ["+fill+"] "+after, width)
}

package terminal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	// repeatsShown is how often the same message is written before repetitions are counted.
	repeatsShown = 5
	// repeatsEvery is how often a message is written, with its count, after that.
	repeatsEvery = time.Minute
)

// Prefix begins each line for people.
const Prefix = "gistmill: "

// A Handler writes log records as sentences for people. A message that is repeated, such as that of
// a dead document, is soon counted instead of written. It is safe for concurrent use.
type Handler struct {
	out   io.Writer
	level slog.Level
	attrs []slog.Attr
	seen  *repeats
}

// NewHandler returns a Handler that writes records of at least a level to out.
func NewHandler(out io.Writer, level slog.Level) *Handler {
	return &Handler{out: out, level: level, seen: &repeats{all: map[string]*repeat{}}}
}

// repeats counts the records of each message.
type repeats struct {
	mu  sync.Mutex
	all map[string]*repeat
}

type repeat struct {
	level  slog.Level
	shown  int
	last   time.Time // when it was written last
	hidden int       // records since then
}

// Enabled implements [slog.Handler].
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// Handle implements [slog.Handler].
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	h.seen.mu.Lock()
	defer h.seen.mu.Unlock()
	same := h.seen.all[r.Message]
	if same == nil {
		same = &repeat{level: r.Level}
		h.seen.all[r.Message] = same
	}
	if same.shown >= repeatsShown && r.Time.Sub(same.last) < repeatsEvery {
		same.hidden++
		return nil
	}
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	line := sentence(r.Level, r.Message, attrs)
	if same.hidden > 0 {
		line += fmt.Sprintf(" (and %d more)", same.hidden)
	}
	same.shown, same.last, same.hidden = same.shown+1, r.Time, 0
	_, err := fmt.Fprintln(h.out, line)
	return err
}

// Flush writes how many records were counted and not written.
func (h *Handler) Flush() {
	h.seen.mu.Lock()
	defer h.seen.mu.Unlock()
	var lines []string
	for message, same := range h.seen.all {
		if same.hidden > 0 {
			lines = append(lines, fmt.Sprintf("%s: %d more", sentence(same.level, message, nil), same.hidden))
			same.hidden = 0
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		_, _ = fmt.Fprintln(h.out, line)
	}
}

// WithAttrs implements [slog.Handler].
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(slices.Clip(h.attrs), attrs...)
	return &with
}

// WithGroup implements [slog.Handler]. Names of groups are left out.
func (h *Handler) WithGroup(string) slog.Handler { return h }

// sentence is a record on one line: the message, the document, what happened, and the rest in
// brackets. The numbers of workers and partitions say nothing to a person.
func sentence(level slog.Level, message string, attrs []slog.Attr) string {
	line := Prefix
	switch {
	case level >= slog.LevelError:
		line += "error: "
	case level >= slog.LevelWarn:
		line += "warning: "
	}
	line += message
	var document, detail string
	var rest []string
	for _, a := range attrs {
		value := text.TerminalLine(a.Value.Resolve().String())
		switch a.Key {
		case "worker", "partition", "attempt", "stack":
		case "doc":
			document = ": " + value
		case "error", "message", "warning":
			detail = ": " + value
		case "class":
			rest = append(rest, value)
		default:
			rest = append(rest, a.Key+" "+value)
		}
	}
	line += document + detail
	if len(rest) > 0 {
		line += " (" + strings.Join(rest, ", ") + ")"
	}
	return line
}

// NewLog returns a logger that writes records as JSON or as text with keys and values. Durations
// are strings with a unit in both.
func NewLog(out io.Writer, json bool, level slog.Level) *slog.Logger {
	if !json {
		return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(slog.NewJSONHandler(safeJSON{out}, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		},
	}))
}

// safeJSON escapes what controls a terminal in the records of a JSON handler.
type safeJSON struct{ out io.Writer }

func (w safeJSON) Write(p []byte) (int, error) {
	_, err := w.out.Write(text.TerminalSafeJSON(p))
	return len(p), err
}

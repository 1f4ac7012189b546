package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/gistmill/gistmill/internal/ledger"
)

// writeBuffer is how many bytes of a file are gathered before they are written.
const writeBuffer = 256 << 10

// JSONL writes a line of JSON for each summary and returns how many that were.
func JSONL(w io.Writer, each Stream) (n int, err error) {
	lines := NewLines(w)
	err = each(func(e ledger.Exported) error { return lines.Add(RecordOf(e)) })
	if err == nil {
		err = lines.Flush()
	}
	return lines.n, err
}

// Lines writes values as lines of JSON. It is not safe for concurrent use.
type Lines struct {
	w       *bufio.Writer
	line    bytes.Buffer
	encoder *json.Encoder
	n       int
}

// NewLines writes to w; the last lines are there after Flush.
func NewLines(w io.Writer) *Lines {
	l := &Lines{w: bufio.NewWriterSize(w, writeBuffer)}
	l.encoder = json.NewEncoder(&l.line)
	l.encoder.SetEscapeHTML(false)
	return l
}

// Add writes one line.
func (l *Lines) Add(v any) error {
	l.line.Reset()
	if err := l.encoder.Encode(v); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	if _, err := l.w.Write(escapeControls(l.line.Bytes())); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	l.n++
	return nil
}

// Flush brings what was added to the writer below.
func (l *Lines) Flush() error {
	if err := l.w.Flush(); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return nil
}

// escapeControls writes DEL and U+0080 to U+009F of encoded JSON as \u00xx, which a JSON encoder may leave as they are
// and a terminal may obey (U+009B begins a control sequence as ESC [ does, ECMA-48). In JSON they can
// only stand in strings.
func escapeControls(line []byte) []byte {
	if !hasControls(line) {
		return line
	}
	escaped := make([]byte, 0, len(line)+64)
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == 0x7f:
			escaped = append(escaped, `\u007f`...)
		case isC1(line, i):
			escaped = fmt.Appendf(escaped, `\u%04x`, line[i+1])
			i++
		default:
			escaped = append(escaped, line[i])
		}
	}
	return escaped
}

func hasControls(line []byte) bool {
	for i, b := range line {
		if b == 0x7f || b == 0xc2 && isC1(line, i) {
			return true
		}
	}
	return false
}

// isC1 says whether U+0080 to U+009F, two bytes of UTF-8, stands at i.
func isC1(line []byte, i int) bool {
	return line[i] == 0xc2 && i+1 < len(line) && line[i+1] >= 0x80 && line[i+1] <= 0x9f
}

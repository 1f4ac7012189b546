package export

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/text"
)

// writeBuffer is the size of the buffer before a file, in bytes.
const writeBuffer = 256 << 10

// JSONL writes each summary as a line of JSON and returns the number of summaries.
func JSONL(w io.Writer, each Stream) (n int, err error) {
	lines := NewLines(w)
	err = each(func(e ledger.Exported) error { return lines.Add(RecordOf(e)) })
	if err == nil {
		err = lines.Flush()
	}
	return lines.n, err
}

// Lines writes values as lines of JSON that are safe to show on a terminal. It is not safe for
// concurrent use.
type Lines struct {
	w       *bufio.Writer
	line    bytes.Buffer
	encoder *json.Encoder
	n       int
}

// NewLines returns a buffered writer to w. Call [Lines.Flush] at the end.
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
	if _, err := l.w.Write(text.TerminalSafeJSON(l.line.Bytes())); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	l.n++
	return nil
}

// Flush writes the buffered lines to the underlying writer.
func (l *Lines) Flush() error {
	if err := l.w.Flush(); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return nil
}

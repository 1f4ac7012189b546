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
	if _, err := l.w.Write(text.TerminalSafeJSON(l.line.Bytes())); err != nil {
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

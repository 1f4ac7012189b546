package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func (b *bench) file() string { return filepath.Join(b.dir, "documents.jsonl") }

// writeLines writes the source file.
func (b *bench) writeLines() (err error) {
	f, err := os.Create(b.file())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	for n := range b.lines {
		if _, err := w.Write(b.line(n)); err != nil {
			return err
		}
	}
	return w.Flush()
}

// appendLine appends one document.
func (b *bench) appendLine() (err error) {
	f, err := os.OpenFile(b.file(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(b.line(b.lines))
	return err
}

// leastBytes has room for the words that make a text unique.
const leastBytes = 64

// line returns document n. Its text is unique.
func (b *bench) line(n int) []byte {
	text := fmt.Sprintf("Parcel %d was weighed at the counter and sent on. ", n)
	text += strings.Repeat("Nothing else is known of it. ", max(0, b.bytes-len(text))/29+1)
	line, err := json.Marshal(map[string]string{"id": id(n), "text": text[:b.bytes]})
	if err != nil {
		panic(err) // strings always encode
	}
	return append(line, '\n')
}

func id(n int) string { return fmt.Sprintf("parcel-%08d", n) }

package marker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// pageTail is how much of a page's end is read to find its footer, in bytes. It holds the longest
// URI and source URL.
const pageTail = 16 << 10

// footer is the end of a page that internal/export writes.
var footer = regexp.MustCompile("(?s)\n---\n\nSource: (`+[^\n]+`+) in (`+[^\n]+`+)  \nSummary by `+[^\n]+`+ from [0-9]+ chunks?, [0-9]+ tokens in, [0-9]+ out, cost [^\n]*\n$")

// PageOf returns the document of a page: its URI and the URL of its source. ok is false if content
// is not a page.
func PageOf(content []byte) (uri, source string, ok bool) {
	if len(content) > pageTail {
		content = content[len(content)-pageTail:]
	}
	at := bytes.LastIndex(content, []byte("\n---\n"))
	if at < 0 {
		return "", "", false
	}
	found := footer.FindSubmatch(content[at:])
	if found == nil {
		return "", "", false
	}
	return span(found[1]), span(found[2]), true
}

// span returns the text of a Markdown code span.
func span(s []byte) string {
	text := strings.Trim(string(s), "`")
	if ticks := (len(s) - len(text)) / 2; ticks > 1 && strings.HasPrefix(text, " ") && strings.HasSuffix(text, " ") {
		text = text[1 : len(text)-1]
	}
	return text
}

// isPageFile reports whether the file at path is a page, by its end.
func isPageFile(path string) bool {
	f, size, ok := openRegular(path)
	if !ok {
		return false
	}
	defer f.Close()
	tail := make([]byte, min(size, pageTail))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	_, _, ok = PageOf(tail)
	return ok
}

// isFolderWithoutMarker reports whether a folder is the output of a version of gistmill that wrote
// no marker: its summaries.jsonl begins with a record.
func isFolderWithoutMarker(dir string) bool {
	f, _, ok := openRegular(filepath.Join(dir, LinesName))
	if !ok {
		return false
	}
	defer f.Close()
	ok, err := BeginsWithRecord(f)
	return ok && err == nil
}

// openRegular opens a regular file and returns its size; ok is false if there is none.
func openRegular(path string) (f *os.File, size int64, ok bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = f.Close() // nothing was written
		return nil, 0, false
	}
	return f, info.Size(), true
}

// BeginsWithRecord reports whether the first line of r is a record of a summary.
func BeginsWithRecord(r io.Reader) (bool, error) {
	const most = 16 << 20 // a summary is shorter
	line, err := bufio.NewReader(io.LimitReader(r, most)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return IsRecord(line), nil
}

// IsRecord reports whether a line is a record of a summary, as internal/export writes it.
func IsRecord(line []byte) bool {
	var r struct {
		URI, Source, Run, Summary, Profile *string
		ContentSHA256                      *string `json:"content_sha256"`
		Chunks                             *int64
	}
	return json.Unmarshal(line, &r) == nil && r.URI != nil && r.Source != nil && r.Run != nil && r.Summary != nil &&
		r.Profile != nil && r.ContentSHA256 != nil && r.Chunks != nil
}

package source

import (
	"bytes"
	"errors"
	"io"

	"github.com/cespare/xxhash/v2"
)

const (
	lineBuffer = 256 << 10 // makes reads cheap compared with the scan
	lineKeep   = 1 << 20   // a larger buffer is freed after the line that needed it
)

// line is one line of a file.
type line struct {
	number int64 // from 1
	offset int64 // of its first byte in the file
	length int64 // without the line end
	data   []byte
	// long reports that the line exceeds the limit; data is then nil.
	long bool
	hash uint64
}

// lineReader splits a stream into lines. Its memory is that of the longest line within the
// limit, for any input. The data of a line is valid until the next call of next.
type lineReader struct {
	r          io.Reader
	max        int64
	buf        []byte
	start, end int   // unread part of buf
	offset     int64 // of buf[start] in the file
	number     int64
	err        error
}

func newLineReader(r io.Reader, max int64) *lineReader {
	return &lineReader{r: r, max: max, buf: make([]byte, lineBuffer)}
}

// next returns the next line, also a blank one, and io.EOF after the last.
func (l *lineReader) next() (line, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(l.buf[l.start+seen:l.end], '\n'); i >= 0 {
			return l.take(seen+i, 1), nil
		}
		seen = l.end - l.start
		if l.err != nil {
			if !atEnd(l.err) {
				return line{}, l.err
			}
			if seen == 0 {
				return line{}, io.EOF
			}
			return l.take(seen, 0), nil
		}
		if int64(seen) > l.max+1 { // one more byte for a \r
			return l.skip()
		}
		l.fill()
	}
}

// take returns the next n bytes as a line. Its line end has eol bytes.
func (l *lineReader) take(n, eol int) line {
	l.number++
	data := l.buf[l.start : l.start+n]
	offset := l.offset
	l.start += n + eol
	l.offset += int64(n + eol)
	if l.number == 1 {
		if rest, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
			data, offset = rest, offset+3
		}
	}
	data = bytes.TrimSuffix(data, []byte{'\r'})
	out := line{number: l.number, offset: offset, length: int64(len(data)), data: data, hash: xxhash.Sum64(data)}
	if out.length > l.max {
		out.data, out.long = nil, true
	}
	return out
}

// skip reads to the end of a line that exceeds the limit, and hashes it without keeping it.
func (l *lineReader) skip() (line, error) {
	l.number++
	out := line{number: l.number, offset: l.offset, long: true}
	digest := xxhash.New()
	for {
		window := l.buf[l.start:l.end]
		i := bytes.IndexByte(window, '\n')
		n := i
		if i < 0 {
			n = len(window)
		}
		_, _ = digest.Write(window[:n]) // never fails
		out.length += int64(n)
		l.start += n
		l.offset += int64(n)
		if i >= 0 {
			l.start++
			l.offset++
			break
		}
		if atEnd(l.err) {
			break
		}
		if l.err != nil {
			return line{}, l.err
		}
		l.fill()
	}
	out.hash = digest.Sum64()
	return out, nil
}

// fill reads more. It first moves the unread bytes to the front of a buffer of the right size.
func (l *lineReader) fill() {
	unread := l.end - l.start
	switch {
	case unread == len(l.buf):
		grown := make([]byte, min(int64(2*len(l.buf)), l.max+lineBuffer))
		l.end = copy(grown, l.buf[l.start:l.end])
		l.buf, l.start = grown, 0
	case len(l.buf) > lineKeep && unread < lineBuffer/2:
		small := make([]byte, lineBuffer)
		l.end = copy(small, l.buf[l.start:l.end])
		l.buf, l.start = small, 0
	case l.start > 0:
		l.end = copy(l.buf, l.buf[l.start:l.end])
		l.start = 0
	}
	for range 100 {
		n, err := l.r.Read(l.buf[l.end:])
		l.end += n
		if err != nil {
			l.err = err
			return
		}
		if n > 0 {
			return
		}
	}
	l.err = errors.New("read: no progress")
}

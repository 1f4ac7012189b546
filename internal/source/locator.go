package source

import (
	"fmt"
	"strconv"
	"strings"
)

// locator is the place of a line: its offset in the file in bytes, its length without the line
// end, and how many bytes of the URI name the file.
type locator struct {
	offset, length int64
	file           int
}

func (l locator) append(b []byte) []byte {
	b = strconv.AppendInt(b, l.offset, 36)
	b = append(b, '+')
	b = strconv.AppendInt(b, l.length, 36)
	b = append(b, '@')
	return strconv.AppendInt(b, int64(l.file), 36)
}

func (l locator) String() string { return string(l.append(nil)) }

// parseLocator parses the locator of the line with this URI. It fails if the two do not match.
func parseLocator(s, uri string) (locator, error) {
	offset, rest, ok1 := strings.Cut(s, "+")
	length, file, ok2 := strings.Cut(rest, "@")
	var l locator
	var err1, err2, err3 error
	l.offset, err1 = strconv.ParseInt(offset, 36, 63)
	l.length, err2 = strconv.ParseInt(length, 36, 63)
	n, err3 := strconv.ParseInt(file, 36, 32)
	l.file = int(n)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil || l.offset < 0 || l.length < 0 ||
		l.file <= 0 || l.file >= len(uri) || uri[l.file] != '#' {
		return locator{}, fmt.Errorf("locator %q does not fit document %q", s, uri)
	}
	return l, nil
}

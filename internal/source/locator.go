package source

import (
	"fmt"
	"strconv"
	"strings"
)

// locator says where a line is: at which byte of its file, how long (without its line end),
// and how many bytes of the URI are the file's.
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

// parseLocator reads the locator of a line whose URI is given. An error means that the two do
// not belong together.
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

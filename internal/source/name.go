package source

import (
	"strings"
	"unicode/utf8"
)

// escapeName writes a file name or an id as a part of a URI that can be stored, printed and
// logged. Bytes that are not UTF-8, control characters and line separators become %XX. A
// percent sign becomes %25 only before two hex digits, which keeps the mapping reversible
// (text.UnescapeName) and "100% sure.txt" readable.
func escapeName(name string) string {
	i := firstEscape(name)
	if i == len(name) {
		return name
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(name) + 16)
	b.WriteString(name[:i])
	for i < len(name) {
		r, n := utf8.DecodeRuneInString(name[i:])
		switch {
		case needsEscape(r, n):
			for _, c := range []byte(name[i : i+n]) {
				b.WriteByte('%')
				b.WriteByte(hex[c>>4])
				b.WriteByte(hex[c&15])
			}
		case r == '%' && isEscape(name[i:]):
			b.WriteString("%25")
		default:
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

func firstEscape(s string) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c < 0x20 || c == 0x7f || c == '%' && isEscape(s[i:]) {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if needsEscape(r, n) {
			return i
		}
		i += n
	}
	return len(s)
}

func needsEscape(r rune, size int) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 ||
		r == utf8.RuneError && size == 1
}

func isEscape(s string) bool {
	return len(s) >= 3 && unhex(s[1]) < 16 && unhex(s[2]) < 16
}

// unhex returns the value of a hex digit, 255 for another byte.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

package text

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TerminalSafe returns s without the characters that control a terminal or make a line read
// differently from how it is stored: control characters except tab and newline, and the
// [bidirectional controls] that embed, override or isolate a direction of writing. Every kind of
// line end becomes a newline, and invalid UTF-8 becomes U+FFFD. Documents and models may contain
// such characters to mislead the reader.
//
// [bidirectional controls]: https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
func TerminalSafe(s string) string {
	if isPlainASCII(s) {
		return s
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r', r == '\v', r == '\f', r == '\u2028', r == '\u2029':
			return '\n'
		case unicode.IsControl(r), isBidiControl(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
}

// TerminalLine is [TerminalSafe] on one line: each newline and tab becomes a space. Unlike
// [OneLine], it keeps repeated spaces, which can be part of a file's name.
func TerminalLine(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(TerminalSafe(s))
}

// TerminalSafeJSON returns JSON that decodes to the same value and is safe to show on a terminal.
// It escapes, as \uxxxx, what a JSON encoder leaves in strings: DEL, U+0080 to U+009F (U+009B
// begins a control sequence as ESC [ does, ECMA-48) and the bidirectional controls that
// [TerminalSafe] removes. It returns encoded itself if there is nothing to escape.
func TerminalSafeJSON(encoded []byte) []byte {
	unsafe := func(r rune) bool { return r == 0x7f || r >= 0x80 && r <= 0x9f || isBidiControl(r) }
	at := bytes.IndexFunc(encoded, unsafe)
	if at < 0 {
		return encoded
	}
	escaped := append(make([]byte, 0, len(encoded)+64), encoded[:at]...)
	for i := at; i < len(encoded); {
		r, n := utf8.DecodeRune(encoded[i:])
		if unsafe(r) {
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		} else {
			escaped = append(escaped, encoded[i:i+n]...)
		}
		i += n
	}
	return escaped
}

// isPlainASCII reports whether s has only printable ASCII, tabs and newlines, as most texts do.
func isPlainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// isBidiControl reports whether r embeds, overrides or isolates a direction of writing (UAX 9). The
// implicit marks, such as U+200E, are not among them.
func isBidiControl(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

package text

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// Wrap breaks a text between words into lines of at most width columns. A command in backticks and
// a quoted name stay whole, and so does a command to type at the end. What is longer than a line
// has a line of its own. Wrap returns at least one line.
func Wrap(s string, width int) []string { return Hang(s, width, "") }

// Hang is [Wrap] with an indent before each line but the first.
func Hang(s string, width int, indent string) []string {
	var lines []string
	line, used := "", 0
	for _, word := range words(TerminalLine(s), width) {
		columns := runewidth.StringWidth(word)
		switch {
		case line == "":
			line, used = word, columns
		case used+1+columns <= width:
			line, used = line+" "+word, used+1+columns
		default:
			lines = append(lines, line)
			line, used = indent+word, runewidth.StringWidth(indent)+columns
		}
	}
	return append(lines, line)
}

// toType comes before a command that ends a sentence.
const toType = "type: gistmill "

// words splits a line into what must not be broken.
func words(s string, width int) []string {
	var all []string
	command := ""
	if at := strings.Index(s, toType); at >= 0 {
		at += len("type: ")
		s, command = s[:at], s[at:]
	}
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		end := wordEnd(s, width)
		all = append(all, s[:end])
		s = s[end:]
	}
	if command != "" {
		all = append(all, command)
	}
	return all
}

// wordEnd returns where the first word of s ends.
func wordEnd(s string, width int) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			return i
		case '`', '"':
			length := strings.IndexByte(s[i+1:], s[i])
			if length < 0 {
				continue
			}
			quoted := s[i : i+length+2]
			// A long quotation that is no path is prose.
			if s[i] == '`' || runewidth.StringWidth(quoted) <= width || strings.Contains(quoted, "/") && !strings.Contains(quoted, ". ") {
				i += length + 1
			}
		}
	}
	return len(s)
}

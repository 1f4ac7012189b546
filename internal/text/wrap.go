package text

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// Wrap breaks a text between words into lines of at most width columns. A longer word has a line of
// its own. It returns at least one line.
func Wrap(s string, width int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(TerminalLine(s)) {
		columns := runewidth.StringWidth(word)
		switch {
		case used == 0:
			line, used = word, columns
		case used+1+columns <= width:
			line, used = line+" "+word, used+1+columns
		default:
			lines = append(lines, line)
			line, used = word, columns
		}
	}
	return append(lines, line)
}

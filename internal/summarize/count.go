package summarize

import (
	"strings"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/text"
)

// counter counts tokens in time linear in the text whatever the tokenizer does with
// long words: it counts pieces.
type counter func(string) int

// pieceBytes bounds a piece. Byte-pair merging takes up to quadratic time within a word
// and a hostile text may be one word.
const pieceBytes = 4096

// count returns the number of tokens of s. Pieces end before a space, where byte-level
// vocabularies split words too, so the sum is that of the whole but for rare runs.
func (c counter) count(s string) int {
	n := 0
	for len(s) > pieceBytes {
		at := strings.LastIndexAny(s[pieceBytes/2:pieceBytes], " \n")
		if at < 0 {
			at = len(text.Cut(s, pieceBytes))
		} else {
			at += pieceBytes / 2
		}
		n += c(s[:at])
		s = s[at:]
	}
	return n + c(s)
}

// within reports whether s has at most limit tokens. No token is shorter than a byte,
// so that short texts need no tokenizer.
func (c counter) within(s string, limit int) bool {
	return len(s) <= limit || c.count(s) <= limit
}

// hardCut returns where to end a piece of at most limit bytes of s: after the last line
// end, else before the last space in its second half, else between two characters. It
// returns at least one character.
func hardCut(s string, limit int) int {
	if len(s) <= limit {
		return len(s)
	}
	end := len(text.Cut(s, limit))
	if end == 0 {
		_, n := utf8.DecodeRuneInString(s)
		return n
	}
	half := end / 2
	if at := strings.LastIndexByte(s[half:end], '\n'); at >= 0 {
		return half + at + 1
	}
	if at := strings.LastIndexAny(s[half:end], " \t"); at > 0 {
		return half + at
	}
	return end
}

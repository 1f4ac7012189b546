package summarize

import (
	"strings"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/text"
)

// counter is a tokenizer. Its method count takes linear time for any text, because it counts
// pieces.
type counter func(string) int

// pieceBytes bounds a piece. Byte-pair merging takes up to quadratic time within a word, and
// a hostile text may be one word.
const pieceBytes = 4096

// count returns the number of tokens of s. Pieces end before a space, where byte-level
// vocabularies split words too, so the sum nearly always equals the count of the whole.
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

// within reports whether s has at most limit tokens. A token has at least one byte, so short
// texts need no tokenizer.
func (c counter) within(s string, limit int) bool {
	return len(s) <= limit || c.count(s) <= limit
}

// hardCut returns the end of a piece of s of at most limit bytes: after the last line end in
// its second half, else before the last space there, else between two characters. The piece
// has at least one character.
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

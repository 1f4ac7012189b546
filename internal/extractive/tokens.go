package extractive

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stem is the number of letters that distinguish words. Inflection mostly changes later letters.
// On English papers no stemmer did better.
const stem = 8

// ideograph reports whether r belongs to a script without spaces between words.
func ideograph(r rune) bool {
	return r >= 0x2E80 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// tokens yields the words of s in lower case: runs of letters and digits, and pairs of
// neighbouring characters in scripts without spaces.
func tokens(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := -1
		for i, r := range s {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
				if !ideograph(r) {
					if start < 0 {
						start = i
					}
					continue
				}
				n := utf8.RuneLen(r)
				if next, m := utf8.DecodeRuneInString(s[i+n:]); ideograph(next) && !yield(s[i:i+n+m]) {
					return
				}
			}
			if start >= 0 && !yield(strings.ToLower(s[start:i])) {
				return
			}
			start = -1
		}
		if start >= 0 {
			yield(strings.ToLower(s[start:]))
		}
	}
}

// terms yields the stems of s without stop words and single letters.
func terms(s string, l *language) iter.Seq[string] {
	return func(yield func(string) bool) {
		for w := range tokens(s) {
			if len(w) < 2 || l.stop[w] {
				continue
			}
			if len(w) > stem && !ideograph(first(w)) {
				n := 0
				for i := range w {
					if n == stem {
						w = w[:i]
						break
					}
					n++
				}
			}
			if !yield(w) {
				return
			}
		}
	}
}

// count returns the number of words of s. Two ideographs count as one word.
func count(s string) int {
	n, wide, in := 0, 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			in = false
		case ideograph(r):
			wide++
			in = false
		case !in && !unicode.In(r, unicode.Po):
			in = true
			n++
		}
	}
	return n + (wide+1)/2
}

func first(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

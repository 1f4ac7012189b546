package checks

import (
	"unicode"
	"unicode/utf8"
)

// kind is the kind of a token.
type kind uint8

const (
	word   kind = iota // letters, and digits after them ("H2O")
	digits             // decimal digits of any script
	wide               // one character of a script without spaces between words
)

// token is a word, a run of digits or a wide character. Space and punctuation separate tokens.
type token struct {
	kind       kind
	start, end int
	hash       uint64 // of the folded characters; the same in every text
	stem       uint64 // of the first stemRunes of them
	runes      int
	upper      int  // upper-case letters
	capital    bool // begins with one
}

// scanner cuts a text into tokens, in linear time and without allocation. It is a value, so that
// a copy can look ahead.
type scanner struct {
	text string
	at   int
}

// stemRunes is the length of a stem, in characters. Inflection mostly changes later letters.
// Package extractive has the same length.
const stemRunes = 7

const (
	hashStart = 0x9e3779b97f4a7c15
	hashPrime = 0x100000001b3 // FNV-1a's
)

// next reads the next token into t and says whether there was one.
func (s *scanner) next(t *token) bool {
	for s.at < len(s.text) {
		r, n := rune(s.text[s.at]), 1
		if r < utf8.RuneSelf && ascii[r] == otherClass {
			s.at++
			continue
		}
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s.text[s.at:])
		}
		switch class(r) {
		case letterClass:
			s.word(t)
			return true
		case digitClass:
			*t = token{kind: digits, start: s.at}
			for s.at < len(s.text) {
				_, n := digitAt(s.text, s.at)
				if n == 0 {
					break
				}
				s.at += n
				t.runes++
			}
			t.end = s.at
			return true
		case wideClass:
			*t = token{kind: wide, start: s.at, end: s.at + n, hash: mix(hashStart, r), runes: 1}
			s.at += n
			return true
		default:
			s.at += n
		}
	}
	return false
}

func (s *scanner) word(t *token) {
	text, i := s.text, s.at
	// Local variables stay in registers; fields of t would be written for each letter.
	hash, stem := uint64(hashStart), uint64(0)
	runes, upper, capital := 0, 0, false
	for i < len(text) {
		c := text[i]
		if c < utf8.RuneSelf {
			f := folded[c]
			if f == 0 {
				break
			}
			if f != c {
				capital = capital || runes == 0
				upper++
			}
			hash = (hash ^ uint64(f)) * hashPrime
			if runes++; runes == stemRunes {
				stem = hash
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if k := class(r); k != letterClass && k != digitClass {
			break
		}
		if isUpper(r) {
			capital = capital || runes == 0
			upper++
		}
		if f := fold(r); f != 0 {
			hash = mix(hash, f)
			if runes++; runes == stemRunes {
				stem = hash
			}
		}
		i += n
	}
	if runes < stemRunes {
		stem = hash
	}
	// One by one, because the compiler builds a composite literal elsewhere and copies it.
	t.kind, t.start, t.end, t.hash, t.stem = word, s.at, i, hash, stem
	t.runes, t.upper, t.capital = runes, upper, capital
	s.at = i
}

func mix(h uint64, r rune) uint64 { return (h ^ uint64(r)) * hashPrime }

// hashOf is the hash of the word s.
func hashOf(s string) uint64 {
	var t token
	scan := scanner{text: s}
	scan.next(&t)
	return t.hash
}

// Classes of characters.
const (
	otherClass = iota
	letterClass
	digitClass
	wideClass
	upperClass // of ASCII only
)

var ascii = func() (t [utf8.RuneSelf]uint8) { //nolint:gochecknoglobals // a constant table
	for c := range t {
		switch {
		case c >= 'a' && c <= 'z':
			t[c] = letterClass
		case c >= 'A' && c <= 'Z':
			t[c] = upperClass
		case c >= '0' && c <= '9':
			t[c] = digitClass
		}
	}
	return t
}()

// folded has letters without case, digits, and 0 for all other characters of ASCII.
var folded = func() (t [utf8.RuneSelf]byte) { //nolint:gochecknoglobals // a constant table
	for c, k := range ascii {
		switch k {
		case letterClass, digitClass:
			t[c] = byte(c)
		case upperClass:
			t[c] = byte(c) | 0x20
		}
	}
	return t
}()

func class(r rune) uint8 {
	switch {
	case r < utf8.RuneSelf:
		if k := ascii[r]; k != upperClass {
			return k
		}
		return letterClass
	case r < 0xc0:
		return otherClass
	case r < 0x250:
		if r == '×' || r == '÷' {
			return otherClass
		}
		return letterClass
	// Kana and Han; Thai, Lao, Burmese, Khmer.
	case r >= 0x3041 && r <= 0x30ff && r != '・', r >= 0x3400 && r <= 0x9fff, r >= 0xf900 && r <= 0xfaff, r >= 0x20000 && r <= 0x3ffff, r == '々',
		r >= 0x0e00 && r <= 0x0eff, r >= 0x1000 && r <= 0x109f, r >= 0x1780 && r <= 0x17ff:
		if _, ok := digitOf(r); ok {
			return digitClass
		}
		return wideClass
	case r >= 0xac00 && r <= 0xd7a3, unicode.IsLetter(r), unicode.IsMark(r):
		return letterClass
	}
	if _, ok := digitOf(r); ok {
		return digitClass
	}
	return otherClass
}

func isUpper(r rune) bool {
	switch {
	case r < 0xc0:
		return r >= 'A' && r <= 'Z'
	case r < 0x100:
		return r < 0xdf
	// Most of Cyrillic text, and scripts without case.
	case r >= 0x430 && r <= 0x45f, r >= 0x2e80 && r < 0xff00:
		return false
	}
	return unicode.IsUpper(r)
}

// base has the letters from U+00C0 to U+017F without case and diacritics, because names are
// written with and without them.
const base = "aaaaaaaceeeeiiiidnooooo ouuuuytsaaaaaaaceeeeiiiidnooooo ouuuuyty" +
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrsssssssstttttt" +
	"uuuuuuuuuuuuwwyyyzzzzzzs"

// fold removes case and diacritics from a letter. It returns 0 for a mark, which is dropped.
func fold(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		if r >= 'A' && r <= 'Z' {
			return r | 0x20
		}
		return r
	case r >= 0xc0 && r < 0x180:
		return rune(base[r-0xc0])
	case r >= 0x300 && r < 0x370: // combining
		return 0
	case r >= 0x410 && r < 0x430:
		return r + 0x20
	case r == 'ё', r == 'Ё':
		return 'е'
	case r >= 0x430 && r <= 0x45f, r >= 0x2e80 && r < 0xff00:
		return r
	}
	if unicode.Is(unicode.Mn, r) {
		return 0
	}
	return unicode.ToLower(r)
}

// digitOf is the value of a decimal digit beyond ASCII, for scripts whose digits are in use.
func digitOf(r rune) (int, bool) {
	// Arabic, Persian, Devanagari, Bengali, Thai, full width.
	for _, zero := range [...]rune{0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10} {
		if r >= zero && r < zero+10 {
			return int(r - zero), true
		}
	}
	return 0, false
}

// digitAt returns the digit at text[i:] and its length in bytes; the length is 0 for none.
func digitAt(text string, i int) (value, size int) {
	if i >= len(text) {
		return 0, 0
	}
	if c := text[i]; c < utf8.RuneSelf {
		if c >= '0' && c <= '9' {
			return int(c - '0'), 1
		}
		return 0, 0
	}
	r, n := utf8.DecodeRuneInString(text[i:])
	if v, ok := digitOf(r); ok {
		return v, n
	}
	return 0, 0
}

// letterAt reports whether a word continues at text[i:], and letterBefore whether one ends there.
func letterAt(text string, i int) bool {
	r, _ := utf8.DecodeRuneInString(text[i:])
	k := class(r)
	return i < len(text) && (k == letterClass || k == digitClass)
}

func letterBefore(text string, i int) bool {
	r, _ := utf8.DecodeLastRuneInString(text[:i])
	k := class(r)
	return i > 0 && (k == letterClass || k == digitClass)
}

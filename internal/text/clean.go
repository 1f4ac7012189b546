package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Stats describes the input of [Clean].
type Stats struct {
	// Runes counts the characters of the input.
	Runes int
	// Bad counts control characters and invalid bytes, which text does not have.
	Bad int
	// Visible reports whether a letter, digit, mark or symbol is left.
	Visible bool
}

// Binary reports whether the input cannot have been text: more than one character in ten is
// bad. A damaged text has far fewer, compressed or executable data far more.
func (s Stats) Binary() bool { return s.Bad*10 > s.Runes }

// Clean makes text fit to be read and compared. The result is valid UTF-8 with \n line ends. It
// has no control characters and no invisible ones, which can hide instructions from people.
// No-break and typographic spaces become plain ones. White space at line ends is removed, and
// at most one empty line remains in a row. Cleaning a result again does not change it.
func Clean(data []byte) (string, Stats) { return clean(data, false) }

// CleanLine is [Clean] for one line: each run of white space becomes one space.
func CleanLine(s string) string {
	line, _ := clean([]byte(s), true)
	return line
}

func clean(data []byte, oneLine bool) (string, Stats) {
	var st Stats
	var b strings.Builder
	b.Grow(len(data))
	lines, spaces := 0, 0 // not written yet
	var tabs bool
	var last rune
	flush := func() {
		switch {
		case b.Len() == 0:
			if lines > 0 {
				spaces = 0
			}
		case oneLine && (lines > 0 || spaces > 0):
			b.WriteByte(' ')
			lines, spaces, tabs = 0, 0, false
			return
		case lines > 0:
			b.WriteString("\n\n"[:min(lines, 2)])
		}
		if oneLine && b.Len() == 0 {
			lines, spaces, tabs = 0, 0, false
			return
		}
		fill := byte(' ')
		if tabs {
			fill = '\t'
		}
		for range min(spaces, 200) {
			b.WriteByte(fill)
		}
		lines, spaces, tabs = 0, 0, false
	}
	for i := 0; i < len(data); {
		c := data[i]
		if printed(c) { // the common case: ASCII words with one space between them
			j := i + 1
			for j < len(data) && (printed(data[j]) || data[j] == ' ' && j+1 < len(data) && printed(data[j+1])) {
				j++
			}
			if lines > 0 || spaces > 0 {
				flush()
			}
			b.Write(data[i:j])
			st.Runes += j - i
			st.Visible = true
			last = rune(data[j-1])
			i = j
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		st.Runes++
		next := i + n
		switch classify(r, n) {
		case runeSpace:
			if r == '\t' && spaces == 0 {
				tabs = true
			} else if r != '\t' {
				tabs = false
			}
			spaces++
			last = ' '
		case runeLine:
			if r == '\r' && next < len(data) && data[next] == '\n' {
				next++
			}
			lines++
			if r == 0x2029 || r == '\f' {
				lines++
			}
			spaces, tabs = 0, false
			last = '\n'
		case runeBad:
			st.Bad++
		case runeInvalid:
			st.Bad++
			flush()
			b.WriteRune(utf8.RuneError)
			last = utf8.RuneError
		case runeJoiner:
			// Persian, Indic scripts and emoji need joiners between two of their own characters.
			// Elsewhere joiners are invisible.
			after, _ := utf8.DecodeRune(data[next:])
			if last >= 0x600 && after >= 0x600 && classify(after, 3) == runeVisible {
				flush()
				b.WriteRune(r)
			}
		case runeHidden:
		case runeVisible:
			if lines > 0 || spaces > 0 {
				flush()
			}
			b.WriteString(string(data[i : i+n]))
			st.Visible = st.Visible || r != utf8.RuneError && (unicode.IsGraphic(r) || unicode.In(r, unicode.Co))
			last = r
		}
		i = next
	}
	return b.String(), st
}

func printed(c byte) bool { return c > ' ' && c < 0x7f }

type runeClass int

const (
	runeVisible runeClass = iota
	runeSpace
	runeLine
	runeJoiner  // zero-width (non-)joiner
	runeHidden  // dropped
	runeBad     // dropped; a sign that the input is not text
	runeInvalid // not UTF-8
)

// classify sorts a character. Hidden are those in Default_Ignorable_Code_Point and Bidi_Control
// of Unicode (PropList 16.0), and the fillers that show as blank.
func classify(r rune, size int) runeClass {
	switch {
	case r == ' ' || r == '\t':
		return runeSpace
	case r == '\n' || r == '\r' || r == '\v' || r == '\f' || r == 0x85 || r == 0x2028 || r == 0x2029:
		return runeLine
	case r < 0x20 || r >= 0x7f && r < 0xa0:
		return runeBad
	case r < 0xa0:
		return runeVisible
	case r == utf8.RuneError && size == 1:
		return runeInvalid
	case r == 0xa0 || r >= 0x2000 && r <= 0x200a || r == 0x202f || r == 0x205f:
		return runeSpace
	case r == 0x200c || r == 0x200d:
		return runeJoiner
	case r < 0x2000:
		switch {
		case r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, r >= 0x180b && r <= 0x180f:
			return runeHidden
		}
		return runeVisible
	case r == 0x200b || r == 0x200e || r == 0x200f, // zero width, marks
		r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f, // overrides, isolates, operators
		r == 0x3164, r == 0xffa0, r == 0x2800, // fillers
		r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, // variation selectors, byte order mark
		r >= 0xfff0 && r <= 0xfffb,
		r&0xfffe == 0xfffe,           // noncharacters
		r >= 0x1bca0 && r <= 0x1bca3, // shorthand format controls
		r >= 0x1d173 && r <= 0x1d17a, // musical controls
		r >= 0xe0000 && r <= 0xe0fff: // tags, further variation selectors
		return runeHidden
	}
	return runeVisible
}

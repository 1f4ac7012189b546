package sentences

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// block is a group of whole lines. A sentence is always within one block.
type block struct {
	start, end int
	kind       Kind
	level      int
	breaks     []int // offsets of lines that do not continue the previous one
}

// line is a line without its line end; next is the start of the following one.
type line struct{ start, end, next int }

const (
	// A line this long was not wrapped by a person or an editor, so its end is intended.
	unwrapped = 200
	// The longest line that counts as a heading by its look alone, in bytes and words.
	headingBytes, headingWords = 100, 14
	// Prose is wrapped at this width or more. Narrower lines are a list or an address.
	narrow = 40
)

// blocks walks the lines of text once and groups them.
func blocks(text string) iter.Seq[block] {
	return func(yield func(block) bool) {
		var (
			cur     []line // lines of the open prose, item or quote block
			kind    Kind
			alone   = true // the open block follows a blank line or the start
			stopped bool
		)
		emit := func(b block) {
			if !stopped && !yield(b) {
				stopped = true
			}
		}
		flush := func(blankAfter bool) {
			if len(cur) > 0 {
				emit(paragraph(text, cur, kind, alone && blankAfter))
			}
			cur, alone = cur[:0], blankAfter
		}
		for at := 0; at < len(text) && !stopped; {
			l := lineAt(text, at)
			at = l.next
			s := strings.TrimSpace(text[l.start:l.end])
			switch {
			case s == "":
				flush(true)
			case fence(s) != "":
				flush(false)
				end := closeFence(text, at, fence(s))
				emit(block{start: l.start, end: end, kind: Code})
				at = end
			case atxLevel(s) > 0:
				flush(false)
				emit(block{start: l.start, end: l.end, kind: Heading, level: atxLevel(s)})
				alone = true
			case len(cur) == 1 && kind == Prose && setextLevel(s) > 0:
				emit(block{start: cur[0].start, end: l.end, kind: Heading, level: setextLevel(s)})
				cur, alone = cur[:0], true
			case tableRow(s):
				flush(false)
				emit(block{start: l.start, end: l.end, kind: Table})
			case itemMarker(s) > 0 && (len(cur) == 0 || kind == Item || interrupts(s)):
				flush(false)
				cur, kind = append(cur, l), Item
			case s[0] == '>':
				if len(cur) > 0 && kind != Quote {
					flush(false)
				}
				if strings.Trim(s, "> \t") == "" { // a blank line within the quote
					flush(false)
				}
				cur, kind = append(cur, l), Quote
			default:
				if len(cur) > 0 && (kind == Quote || l.end-l.start > unwrapped || cur[len(cur)-1].end-cur[len(cur)-1].start > unwrapped) {
					flush(false)
				}
				if len(cur) == 0 {
					kind = Prose
				}
				cur = append(cur, l)
			}
			if l.next > l.end && text[l.next-1] == '\f' {
				flush(true)
			}
		}
		flush(true)
	}
}

// paragraph makes a block of lines.
func paragraph(text string, lines []line, kind Kind, alone bool) block {
	b := block{start: lines[0].start, end: lines[len(lines)-1].end, kind: kind}
	if len(lines) == 1 {
		if kind == Prose && alone && headingLook(strings.TrimSpace(text[b.start:b.end])) {
			b.kind, b.level = Heading, 7
		}
		return b
	}
	width := 0
	for _, l := range lines {
		width = max(width, l.end-l.start)
	}
	for i := 1; i < len(lines); i++ {
		if hardBreak(text[lines[i-1].start:lines[i-1].end], text[lines[i].start:lines[i].end], width) {
			b.breaks = append(b.breaks, lines[i].start)
		}
	}
	return b
}

// hardBreak reports whether the end of a line was intended: the next line begins with a capital
// or a digit although its first word would have fitted. An editor that wraps fills the line.
func hardBreak(prev, next string, width int) bool {
	prev, next = strings.TrimRight(prev, " \t\r"), strings.TrimLeft(next, " \t>")
	r := firstRune(next)
	if prev == "" || !unicode.IsUpper(r) && !unicode.IsDigit(r) && !unicode.IsTitle(r) {
		return false
	}
	if last := prev[len(prev)-1]; last == ',' || last == '-' || last == '(' {
		return false
	}
	word, _, _ := strings.Cut(next, " ")
	if width >= narrow {
		width = width * 4 / 5 // ragged lines, typed by hand
	}
	return len(prev)+1+len(word) <= width
}

func lineAt(text string, start int) line {
	for i := start; i < len(text); i++ {
		switch text[i] {
		case '\n', '\f':
			return line{start, i, i + 1}
		case '\r':
			if i+1 < len(text) && text[i+1] == '\n' {
				return line{start, i, i + 2}
			}
			return line{start, i, i + 1}
		}
	}
	return line{start, len(text), len(text)}
}

// fence returns the run of backquotes or tildes that opens a block of code.
func fence(s string) string {
	for _, c := range []string{"```", "~~~"} {
		if strings.HasPrefix(s, c) {
			n := len(s) - len(strings.TrimLeft(s, c[:1]))
			if c == "```" && strings.Contains(s[n:], "`") {
				return "" // inline code on a line of its own
			}
			return s[:n]
		}
	}
	return ""
}

// closeFence returns the end of the line that closes the fence, or of the text.
func closeFence(text string, at int, open string) int {
	for at < len(text) {
		l := lineAt(text, at)
		if s := strings.TrimSpace(text[l.start:l.end]); strings.HasPrefix(s, open) && strings.Trim(s, open[:1]) == "" {
			return l.end
		}
		at = l.next
	}
	return len(text)
}

func atxLevel(s string) int {
	n := len(s) - len(strings.TrimLeft(s, "#"))
	if n == 0 || n > 6 || n < len(s) && s[n] != ' ' && s[n] != '\t' {
		return 0
	}
	return n
}

func setextLevel(s string) int {
	switch {
	case len(s) >= 3 && strings.Trim(s, "=") == "":
		return 1
	case len(s) >= 3 && strings.Trim(s, "-") == "":
		return 2
	}
	return 0
}

// tableRow recognises Markdown rows, and columns separated by tabs or runs of spaces.
func tableRow(s string) bool {
	if s[0] == '|' && strings.Count(s, "|") > 1 || strings.Count(s, " | ") > 1 || strings.Count(s, "\t") > 1 {
		return true
	}
	gaps := 0
	for i := 0; i < len(s) && gaps < 2; {
		if s[i] != ' ' {
			i++
			continue
		}
		j := i
		for j < len(s) && s[j] == ' ' {
			j++
		}
		if j-i >= 3 {
			gaps++
		}
		i = j
	}
	return gaps >= 2
}

// itemMarker returns the length of a list item's marker, else 0.
func itemMarker(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case strings.ContainsRune("-*+•‣◦▪–·", r):
	case r >= '0' && r <= '9':
		for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == len(s) || s[n] != '.' && s[n] != ')' {
			return 0
		}
		n++
	default:
		return 0
	}
	if n >= len(s) || s[n] != ' ' && s[n] != '\t' {
		return 0
	}
	return n + 1
}

// interrupts follows CommonMark: within a paragraph only a bullet or the number 1 begins a list,
// because wrapped prose may have any other number at the start of a line.
func interrupts(s string) bool {
	return s[0] < '0' || s[0] > '9' || strings.HasPrefix(s, "1.") || strings.HasPrefix(s, "1)")
}

// headingLook reports whether a single line looks like a heading: it is short, begins with a
// capital or a number, and does not end like a sentence.
func headingLook(s string) bool {
	if len(s) > headingBytes || len(strings.Fields(s)) > headingWords {
		return false
	}
	body := strings.TrimLeft(s, "*_ ")
	if r := firstRune(body); !unicode.IsUpper(r) && !unicode.IsDigit(r) {
		return false
	}
	letters := 0
	for _, r := range body {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	if letters > 2 && strings.ToUpper(body) == body && strings.ToLower(body) != body {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(s, "*_ "))
	return letters > 0 && (unicode.IsLetter(last) || unicode.IsDigit(last) || last == ')')
}

package extract

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pdfPages holds the text of the pages of a PDF, with the lines as printed.
type pdfPages []string

// join makes running text of the pages. It leaves out lines that repeat at the head or foot of
// most pages, joins words that were divided at the end of a line, and keeps a sentence that
// continues on the next page in one paragraph.
func (p pdfPages) join() []byte {
	lines := make([][]string, len(p))
	for i, page := range p {
		for line := range strings.SplitSeq(joinHyphens(strings.ReplaceAll(page, "\r\n", "\n")), "\n") {
			if line = strings.TrimSpace(line); line != "" {
				lines[i] = append(lines[i], line)
			}
		}
	}
	dropRepeated(lines)
	var out bytes.Buffer
	for _, page := range lines {
		for i, line := range page {
			switch {
			case out.Len() == 0:
			case i > 0 || !endsSentence(out.Bytes()):
				out.WriteByte('\n')
			default:
				out.WriteString("\n\n")
			}
			writeLine(&out, line)
		}
	}
	return out.Bytes()
}

// writeLine appends a line. It joins a word that was divided at the end of the previous line,
// and removes its hyphen between two lower-case letters.
func writeLine(out *bytes.Buffer, line string) {
	if b := out.Bytes(); len(b) > 1 && b[len(b)-1] == '\n' {
		word, ok := bytes.CutSuffix(bytes.TrimRight(b, " \n"), []byte{'-'})
		left, _ := utf8.DecodeLastRune(word)
		right, _ := utf8.DecodeRuneInString(line)
		if ok && unicode.IsLower(left) && unicode.IsLower(right) {
			out.Truncate(len(word))
		}
	}
	out.WriteString(line)
}

// joinHyphens does the same for the marks, U+0002 or U+FFFE, that PDFium writes where it joined
// two lines at a hyphen.
func joinHyphens(page string) string {
	if !strings.ContainsAny(page, "\x02\ufffe") {
		return page
	}
	var b strings.Builder
	last := rune(0)
	for i, r := range page {
		if r != 0x02 && r != 0xfffe {
			b.WriteRune(r)
			last = r
			continue
		}
		next, _ := utf8.DecodeRuneInString(page[i+utf8.RuneLen(r):])
		if !unicode.IsLower(last) || !unicode.IsLower(next) {
			b.WriteByte('-')
		}
	}
	return b.String()
}

func endsSentence(b []byte) bool {
	b = bytes.TrimRight(b, " \n\"')]”’»")
	r, _ := utf8.DecodeLastRune(b)
	return strings.ContainsRune(".!?:…。！？", r)
}

// dropRepeated removes running titles and page numbers. These are the two outermost lines at
// either end of a page if more than half of the pages, and at least three, have the same, apart
// from digits.
func dropRepeated(pages [][]string) {
	const depth = 2
	seen := map[string]int{}
	full := 0
	for _, lines := range pages {
		if len(lines) > 0 {
			full++
		}
		for i := range min(depth, len(lines)) {
			seen["t"+shape(lines[i])]++
			seen["b"+shape(lines[len(lines)-1-i])]++
		}
	}
	repeated := func(end, line string) bool { n := seen[end+shape(line)]; return n >= 3 && 2*n > full }
	for p, lines := range pages {
		if len(lines) <= 2*depth { // a page with no other lines keeps them
			continue
		}
		from, to := 0, len(lines)
		for range depth {
			if repeated("t", lines[from]) {
				from++
			}
			if repeated("b", lines[to-1]) {
				to--
			}
		}
		pages[p] = lines[from:to]
	}
}

// shape is a line with each number replaced by #.
func shape(line string) string {
	var b strings.Builder
	digits := false
	for _, r := range line {
		if unicode.IsDigit(r) {
			if !digits {
				b.WriteByte('#')
			}
			digits = true
			continue
		}
		digits = false
		b.WriteRune(r)
	}
	return b.String()
}

func endsLikePDF(data []byte) bool {
	return bytes.Contains(data[max(0, len(data)-2048):], []byte("%%EOF"))
}

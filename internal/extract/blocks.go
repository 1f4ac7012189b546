package extract

import "unicode/utf8"

// blocks builds text from the parts of a marked-up document: words, line breaks, paragraphs,
// headings. It collapses white space as a browser does.
type blocks struct {
	out  []byte
	max  int64
	full bool // max was reached and text dropped
	pre  int  // depth of preformatted elements
	gap  int  // line ends to write before the next text
	soft bool // whether to write a space before the next text
	mark string
}

// text adds running text.
func (b *blocks) text(s []byte) {
	if b.pre > 0 {
		b.preformatted(s)
		return
	}
	for i := 0; i < len(s); {
		if isSpace(s[i]) {
			b.soft = true
			i++
			continue
		}
		j := i + 1
		for j < len(s) && !isSpace(s[j]) {
			j++
		}
		b.word(s[i:j])
		i = j
	}
}

func (b *blocks) preformatted(s []byte) {
	if b.gap > 0 || b.mark != "" {
		b.word(nil)
	}
	b.write(s)
}

// word writes pending line ends, marks and spaces, and then w.
func (b *blocks) word(w []byte) {
	switch {
	case b.gap > 0:
		if len(b.out) > 0 {
			b.write([]byte("\n\n"[:b.gap]))
		}
		b.write([]byte(b.mark))
		b.mark = ""
	case b.soft && len(b.out) > 0:
		b.write([]byte{' '})
	}
	b.gap, b.soft = 0, false
	b.write(w)
}

func (b *blocks) write(s []byte) {
	if int64(len(b.out)+len(s)) > b.max {
		b.full = true
		return
	}
	b.out = append(b.out, s...)
}

// newline ends the line. block ends the paragraph.
func (b *blocks) newline() { b.gap, b.soft = max(b.gap, 1), false }
func (b *blocks) block()   { b.gap, b.soft, b.mark = 2, false, "" }

// begin starts a paragraph with a mark such as "## " or "- ". Its first word writes the mark.
func (b *blocks) begin(mark string) {
	b.block()
	b.mark = mark
}

// item starts a line with a mark.
func (b *blocks) item(mark string) {
	b.newline()
	b.mark = mark
}

// cell separates the following text from the previous cell of the row.
func (b *blocks) cell() {
	if b.gap == 0 && len(b.out) > 0 {
		b.soft = true
		b.word([]byte{'|'})
		b.soft = true
	}
}

func (b *blocks) length() int { return utf8.RuneCount(b.out) }

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' }

func headingMark(level int) string { return "###### "[6-min(max(level, 1), 6):] }

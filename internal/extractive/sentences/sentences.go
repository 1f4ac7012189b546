// Package sentences finds the sentences of a text and their structure.
//
// It owns the offsets of sentences, paragraphs, headings, list items, quotes, tables and code in
// plain text and Markdown, in English, German, French, Spanish, Italian, Portuguese, Dutch,
// Swedish, Danish, Norwegian and Polish, with full stops of other scripts as a fallback. It
// refuses to own the meaning and value of a sentence: it drops and rewrites nothing.
package sentences

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is the kind of block that contains a sentence.
type Kind uint8

// The kinds of blocks.
const (
	Prose   Kind = iota // running text
	Heading             // a heading, whole
	Item                // a sentence of a list item
	Quote               // a sentence of a block marked with ">"
	Table               // one row of a table
	Code                // a whole block of fenced code
)

// Sentence is a sentence of a text, or another unit such as a heading or a table row.
type Sentence struct {
	Text       string // text[Start:End], markup included, no space at either end
	Start, End int    // byte offsets into the text
	Paragraph  int    // counts blocks from 0; a heading, an item and a table are blocks of their own
	Heading    bool   // the same as Kind == Heading, whose depth is Level
	Kind       Kind
	Level      int // depth of a heading: 1 to 6 if marked, 7 if recognized by its look; else 0
}

// Split returns the sentences of text in order. They do not overlap, and every character other
// than space belongs to exactly one. Split accepts any bytes. Time and memory are linear in the
// length of text. The sentences share its memory.
func Split(text string) []Sentence { return slices.Collect(All(text)) }

// All yields the sentences that [Split] returns, without holding all of them in memory.
func All(text string) iter.Seq[Sentence] {
	return func(yield func(Sentence) bool) {
		n := 0
		for b := range blocks(text) {
			any := false
			for start, end := range b.spans(text) {
				s, ok := sentence(text, start, end, b, n)
				if !ok {
					continue
				}
				if any = true; !yield(s) {
					return
				}
			}
			if any {
				n++
			}
		}
	}
}

// spans yields the offsets of a block's sentences.
func (b block) spans(text string) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		if b.kind == Heading || b.kind == Table || b.kind == Code {
			yield(b.start, b.end)
			return
		}
		at := b.start
		for _, hard := range append(b.breaks, b.end) {
			for end := range ends(text, at, hard) {
				if !yield(at, end) {
					return
				}
				at = end
			}
			at = hard
		}
	}
}

func sentence(text string, start, end int, b block, paragraph int) (Sentence, bool) {
	s := text[start:end]
	left := strings.TrimLeftFunc(s, unicode.IsSpace)
	start += len(s) - len(left)
	s = strings.TrimRightFunc(left, unicode.IsSpace)
	return Sentence{
		Text: s, Start: start, End: start + len(s), Paragraph: paragraph,
		Heading: b.kind == Heading, Kind: b.kind, Level: b.level,
	}, s != ""
}

// Section is a run of sentences under one heading.
type Section struct {
	Heading     int // index of the heading's sentence, -1 before the first heading
	Level       int // of the heading, 0 without one
	First, Last int // sentences[First:Last] is the body, without the heading
}

// Sections divides the sentences of one text at its headings. Consecutive headings give sections
// with an empty body. The result is empty only if there are no sentences.
func Sections(list []Sentence) []Section {
	if len(list) == 0 {
		return nil
	}
	var out []Section
	cur := Section{Heading: -1}
	for i, s := range list {
		if !s.Heading {
			continue
		}
		cur.Last = i
		if cur.Heading >= 0 || cur.Last > cur.First {
			out = append(out, cur)
		}
		cur = Section{Heading: i, Level: s.Level, First: i + 1}
	}
	cur.Last = len(list)
	return append(out, cur)
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

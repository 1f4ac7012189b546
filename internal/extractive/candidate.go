package extractive

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/extractive/sentences"
)

// candidate is a sentence that may go into a summary.
type candidate struct {
	text    string // cleaned
	words   int
	at      int // number of the sentence in the document
	section int // index into document.sections
	place   int // among the candidates of its section
	kind    sentences.Kind
}

// document is what is known about a text besides its candidates.
type document struct {
	title    string
	language *language
	sections []int // number of candidates in each
	before   []int // number of candidates before each, once all are read
	total    int   // candidates before any round
	headings bool
}

// filter decides whether a cleaned sentence can be part of a summary.
type filter func(text string, kind sentences.Kind, words int) bool

const (
	// Bounds on a candidate, in words. A longer sentence is mostly a list or a table without
	// its lines.
	fewestWords, mostWords = 6, 100
	// A sentence of more bytes is skipped before it is cleaned and counted: it has more than
	// mostWords words, or is data.
	longest = 4096
)

// readable accepts text that begins and ends like a sentence and consists of words.
func readable(t string, kind sentences.Kind, words int) bool {
	switch kind {
	case sentences.Prose, sentences.Item, sentences.Quote:
	case sentences.Heading, sentences.Table, sentences.Code:
		return false
	}
	if words < fewestWords || words > mostWords || unicode.IsLower(first(strings.TrimLeft(t, "\"'“«„‘(["))) {
		return false
	}
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRight(t, "\"'”’»)]“"))
	if !strings.ContainsRune(".!?…。！？।॥؟۔", last) || strings.Contains(t, "://") || strings.Contains(t, "www.") {
		return false
	}
	if strings.Count(t, `"`)%2 == 1 || strings.Count(t, "«") != strings.Count(t, "»") ||
		strings.Count(t, "“") != strings.Count(t, "”") && !strings.Contains(t, "„") {
		return false // half of a quotation
	}
	m := measure(t)
	switch {
	case m.brackets != 0: // half of a parenthesis
	case m.letters*100 < m.runes*85 || m.single*6 >= words: // a formula or a flattened table
	case m.separators*4 > words: // an enumeration
	case m.capitals*10 > m.words*6: // a title, an address or an entry of a bibliography
	default:
		return true
	}
	return false
}

// composition counts the characters and words of a sentence.
type composition struct {
	runes, letters  int // letters include the spaces between words
	words, capitals int // words of letters, and those that begin with a capital
	single          int // words of one letter
	separators      int // commas and semicolons
	brackets        int // opened minus closed
}

func measure(t string) composition {
	var m composition
	long := 0 // letters of the current word
	for _, r := range t + " " {
		m.runes++
		if unicode.IsLetter(r) || unicode.IsMark(r) {
			m.letters++
			if long++; long == 1 {
				m.words++
				if unicode.IsUpper(r) {
					m.capitals++
				}
			}
			continue
		}
		if long == 1 && r == ' ' {
			m.single++
		}
		long = 0
		switch r {
		case ' ':
			m.letters++
		case ',', ';':
			m.separators++
		case '(', '[':
			m.brackets++
		case ')', ']':
			m.brackets--
		}
	}
	return m
}

// anySentence accepts all running text, for documents without a readable sentence.
func anySentence(_ string, kind sentences.Kind, words int) bool {
	return words >= 2 && words <= mostWords && (kind == sentences.Prose || kind == sentences.Item || kind == sentences.Quote)
}

// collect reads the candidates of text and reduces them to those that one round can rank.
func collect(ctx context.Context, title, text string, accept filter) ([]candidate, *document, error) {
	doc := &document{title: title, sections: []int{0}}
	var rounds sieve
	seen := map[string]bool{} // within a part, where equal sentences count once
	n := 0
	for s := range sentences.All(text) {
		n++
		if n%256 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if s.Heading {
			doc.heading(s)
			continue
		}
		if len(s.Text) > longest {
			continue
		}
		t := clean(s)
		words := count(t)
		if seen[t] || !accept(t, s.Kind, words) {
			continue
		}
		if len(seen) == partSize {
			clear(seen)
		}
		seen[t] = true
		k := len(doc.sections) - 1
		rounds.add(doc, candidate{text: t, words: words, at: n, section: k, place: doc.sections[k], kind: s.Kind})
		doc.sections[k]++
		doc.total++
	}
	doc.before = make([]int, len(doc.sections))
	for i := range doc.sections[1:] {
		doc.before[i+1] = doc.before[i] + doc.sections[i]
	}
	return rounds.finish(doc), doc, ctx.Err()
}

// heading begins a section, unless the current one has no candidate yet.
func (d *document) heading(s sentences.Sentence) {
	if d.title == "" && d.total == 0 {
		d.title = strings.Trim(s.Text, "#=- \n")
	}
	if d.sections[len(d.sections)-1] > 0 {
		d.sections = append(d.sections, 0)
	}
	d.headings = true
}

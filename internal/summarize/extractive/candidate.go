package extractive

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/summarize/sentences"
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

// document is what is known of a text beside its candidates.
type document struct {
	title    string
	language *language
	sections []int // number of candidates in each
	before   []int // number of candidates before each, once all are read
	total    int   // candidates before any round
	headings bool
}

// filter decides whether a cleaned sentence can stand in a summary.
type filter func(text string, kind sentences.Kind, words int) bool

const (
	// Bounds on a candidate, in words. A sentence beyond the upper one is mostly a list
	// or a table that lost its lines.
	fewestWords, mostWords = 6, 100
	// Bytes of one sentence that are looked at; the rest cannot make it a candidate.
	longest = 4096
)

// readable accepts what reads as a sentence: begun and ended like one, made of words.
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
	if !strings.ContainsRune(".!?…。！？।॥؟۔", last) {
		return false
	}
	if strings.Count(t, `"`)%2 == 1 || strings.Count(t, "«") != strings.Count(t, "»") ||
		strings.Count(t, "“") != strings.Count(t, "”") && !strings.Contains(t, "„") {
		return false // half of a quotation
	}
	runes, letters, single, open := 0, 0, 0, 0
	alone := 0 // runes of the current word
	for _, r := range t + " " {
		runes++
		switch {
		case unicode.IsLetter(r) || unicode.IsMark(r):
			letters++
			alone++
		case r == ' ':
			letters++
			if alone == 1 {
				single++
			}
			alone = 0
		case r == '(' || r == '[':
			open++
		case r == ')' || r == ']':
			open--
		}
	}
	// Formulas and tables that were flattened into text are full of digits, signs and
	// single letters; a bracket without its partner is half a sentence.
	return letters*100 >= runes*85 && single*6 < words && open == 0
}

// anySentence accepts all running text; it serves documents where nothing is readable.
func anySentence(_ string, kind sentences.Kind, words int) bool {
	return words >= 2 && words <= mostWords && (kind == sentences.Prose || kind == sentences.Item || kind == sentences.Quote)
}

// collect reads the candidates of text and thins them out to what one round can rank.
func collect(ctx context.Context, title, text string, accept filter) ([]candidate, *document, error) {
	doc := &document{title: title, sections: []int{0}}
	var kept, part []candidate
	seen := map[string]bool{} // within a part: what stands there twice counts once
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
		if t == "" || !accept(t, s.Kind, words) {
			continue
		}
		if seen[t] {
			continue
		}
		seen[t] = true
		k := len(doc.sections) - 1
		part = append(part, candidate{text: t, words: words, at: n, section: k, place: doc.sections[k], kind: s.Kind})
		doc.sections[k]++
		doc.total++
		if len(part) == partSize {
			kept = append(kept, doc.best(part)...)
			part = part[:0]
			clear(seen)
		}
	}
	if len(kept) > 0 && len(part) > 0 {
		part = doc.best(part)
	}
	kept = append(kept, part...)
	if doc.language == nil {
		doc.language = detect(kept)
	}
	for len(kept) > partSize {
		var next []candidate
		for at := 0; at < len(kept); at += partSize {
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			next = append(next, doc.best(kept[at:min(len(kept), at+partSize)])...)
		}
		kept = next
	}
	doc.before = make([]int, len(doc.sections))
	for i := range doc.sections[1:] {
		doc.before[i+1] = doc.before[i] + doc.sections[i]
	}
	return kept, doc, ctx.Err()
}

// heading opens a section, unless the current one has no candidate yet.
func (d *document) heading(s sentences.Sentence) {
	if d.title == "" && d.total == 0 {
		d.title = strings.Trim(s.Text, "#=- \n")
	}
	if d.sections[len(d.sections)-1] > 0 {
		d.sections = append(d.sections, 0)
	}
	d.headings = true
}

// best returns the part's best candidates in order, one in survivors.
func (d *document) best(part []candidate) []candidate {
	if d.language == nil {
		d.language = detect(part)
	}
	g := newGraph(part, d.language)
	scores := d.scores(part, g, false)
	order := ranking(scores)
	keep := make([]bool, len(part))
	for _, i := range order[:(len(order)+survivors-1)/survivors] {
		keep[i] = true
	}
	var out []candidate
	for i, c := range part {
		if keep[i] {
			out = append(out, c)
		}
	}
	return out
}

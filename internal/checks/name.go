package checks

import (
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// names are the names in a summary: acronyms, words with capitals inside, and capitalised words
// that do not begin a sentence. They are recognized by spelling, without a list of names.
type names struct {
	words []nameWord
	runs  []run
}

type nameWord struct {
	hash, stem uint64
	text       string
	first      rune // folded
	run        int  // of runs
	last       int  // its last place in the document, as a number of words; 0: none yet
	found      bool
	checked    bool // otherwise it is only compared as a neighbour
}

// run is a name of one word or several.
type run struct {
	start, end  int // in the summary's string
	first, last int // words[first:last]
	acronym     bool
	near        uint64 // bit i: words i and i+1 are close to each other in the document
	found       bool
}

const (
	namesMost   = 200
	runMost     = 8 // words of one name
	acronymMost = 6 // letters; longer ones are words in capitals
	// The largest distance, in words, between two words of one name in the document: "Chen, the
	// new head, Mei".
	nearWords = 5
)

// collect adds the names of one string of a summary that is in the given language.
func (n *names) collect(text, language string) {
	scan := scanner{text: text}
	var t token
	last := token{end: -1}
	open := false // the run goes on
	titled := heading(text, 0)
	for len(n.words) < namesMost && scan.next(&t) {
		start := last.end < 0 || begins(text[last.end:t.start])
		joins := !start && open && joined(text[last.end:t.start], last)
		if gap := text[max(last.end, 0):t.start]; start {
			if i := strings.LastIndexByte(gap, '\n'); i >= 0 {
				titled = heading(text, t.start-len(gap)+i+1)
			}
		}
		last = t
		if t.start < titled {
			open = false
			continue
		}
		if t.kind != word || !t.capital && t.upper == 0 {
			open = false
			continue
		}
		if t.runes == 1 && joins || t.runes == 1 && t.upper == 1 { // an initial
			open = joins || !start
			continue
		}
		strong := t.upper >= 2 && !shouted(text, t)
		weak := t.capital && t.upper == 1 && cased(text[t.start:t.end])
		if !strong && !weak || function(t, language) || isDateWord(t) || roman(text[t.start:t.end]) || lexicon().of(t.hash).title {
			open = false
			continue
		}
		if language == "de" && !strong { // every noun has a capital
			open = false
			continue
		}
		first, _ := utf8.DecodeRuneInString(text[t.start:])
		w := nameWord{hash: t.hash, stem: t.stem, text: text[t.start:t.end], first: fold(first), checked: strong || !start}
		n.words = append(n.words, w)
		if joins && len(n.runs) > 0 {
			r := &n.runs[len(n.runs)-1]
			if r.last == len(n.words)-1 && r.last-r.first < runMost {
				r.last, r.end, r.acronym = len(n.words), t.end, false
				n.words[len(n.words)-1].run = len(n.runs) - 1
				open = true
				continue
			}
		}
		n.words[len(n.words)-1].run = len(n.runs)
		n.runs = append(n.runs, run{start: t.start, end: t.end, first: len(n.words) - 1, last: len(n.words), acronym: acronym(t)})
		open = true
	}
}

// begins reports whether the text before a word makes it the first of a sentence, a line or a
// quotation, where a capital means nothing.
func begins(gap string) bool { return strings.ContainsAny(gap, ".!?:;\n…•*#|\"“„«»—–") }

// joined reports whether the text between two words allows them to be one name: a space, a
// hyphen, an apostrophe, or the full stop of an initial.
func joined(gap string, before token) bool {
	switch gap {
	case " ", "-", "’", "'", "\u00a0", " & ":
		return true
	case ". ", ".":
		return before.runes == 1
	}
	return false
}

// shouted reports whether a word in capitals is next to another one, or too long for an acronym.
func shouted(text string, t token) bool {
	if t.upper < t.runes {
		return false
	}
	if t.runes > acronymMost {
		return true
	}
	scan := scanner{text: text, at: t.end}
	var next token
	return scan.next(&next) && next.kind == word && next.upper == next.runes && next.runes > 1 && t.runes > 1 && next.start == t.end+1 &&
		next.runes+t.runes > acronymMost
}

// acronym reports whether a word is capital letters, with or without a final s.
func acronym(t token) bool {
	return t.runes <= acronymMost+1 && t.upper >= 2 && t.upper >= t.runes-1
}

// cased reports whether the word's script has capital and small letters.
func cased(w string) bool {
	r, _ := utf8.DecodeRuneInString(w)
	return r < 0x590
}

// function reports whether a word is a function word of a language, or of any language if the
// language is not known.
func function(t token, language string) bool {
	mask := lexicon().of(t.hash).languages
	if i := slices.Index(lexicon().languages, language); i >= 0 {
		return mask>>i&1 != 0
	}
	return mask != 0
}

func isDateWord(t token) bool {
	m := lexicon().of(t.hash)
	return m.month > 0 || m.weekday > 0
}

// roman reports whether a word is a Roman numeral.
func roman(w string) bool { return len(w) <= 6 && strings.Trim(w, "IVXLC") == "" }

// heading returns the end of a Markdown heading that begins the line at start, or 0. Headings
// often capitalise all words.
func heading(text string, start int) int {
	line, _, _ := strings.Cut(text[start:], "\n")
	bare := strings.TrimLeft(line, " ")
	if strings.HasPrefix(bare, "#") {
		return start + len(line)
	}
	if rest, ok := strings.CutPrefix(bare, "**"); ok {
		before, _, _ := strings.Cut(rest, "**")
		return start + len(line) - len(rest) + len(before)
	}
	return 0
}

// record stores that word number at of the document has the stem of words[k]. It reports whether
// further places of the word would change nothing.
func (n *names) record(k int, t *token, at int) (known bool) {
	w := &n.words[k]
	if t.hash != w.hash && t.runes < stemRunes+1 {
		return false
	}
	w.found = true
	w.last = at
	r := &n.runs[w.run]
	if k > r.first && n.close(k-1, at) {
		r.near |= 1 << (k - 1 - r.first)
	}
	if k+1 < r.last && n.close(k+1, at) {
		r.near |= 1 << (k - r.first)
	}
	return bits.OnesCount64(r.near) == r.last-r.first-1
}

func (n *names) close(k, at int) bool { return n.words[k].last > 0 && at-n.words[k].last <= nearWords }

// decide marks the names that the document has: all their checked words, each close to the next.
func (n *names) decide() {
	for i := range n.runs {
		r := &n.runs[i]
		r.found = true
		for k := r.first; k < r.last; k++ {
			w := &n.words[k]
			r.found = r.found && (w.found || !w.checked)
			if k+1 < r.last && w.checked && w.found && n.words[k+1].found && r.near>>(k-r.first)&1 == 0 {
				r.found = false
			}
		}
	}
}

// findLoosely looks for the remaining names in other forms: inflected, written in one word or
// with a hyphen, as an acronym or spelled out. The summary may explain an acronym.
func (n *names) findLoosely(text string, summary []string, language string) {
	var open []int
	for i := range n.runs {
		if !n.runs[i].found {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return
	}
	n.inflected(text, language)
	n.explained(text, open, true)
	for _, s := range summary {
		n.explained(s, open, false)
	}
	n.respelled(text, open)
}

// inflected marks words as found that the document has with another ending.
func (n *names) inflected(text, language string) {
	var open []int
	for i := range n.words {
		if w := &n.words[i]; !w.found && w.checked {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return
	}
	endings := inflects(language)
	scan := scanner{text: text}
	var t token
	for scan.next(&t) {
		if t.kind != word || t.runes < 2 {
			continue
		}
		kept := open[:0]
		first, _ := utf8.DecodeRuneInString(text[t.start:])
		first = fold(first)
		for _, k := range open {
			if w := &n.words[k]; w.first == first && sameName(w.text, text[t.start:t.end], endings) {
				w.found = true
			} else {
				kept = append(kept, k)
			}
		}
		open = kept
	}
	for i := range n.runs {
		r := &n.runs[i]
		whole := true
		for k := r.first; k < r.last; k++ {
			whole = whole && (n.words[k].found || !n.words[k].checked)
		}
		r.found = r.found || whole && r.last-r.first == 1
	}
}

// inflects reports whether names change their endings in a language.
func inflects(language string) bool {
	switch language {
	case "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no":
		return false
	}
	return true
}

// sameName compares two words letter by letter. In most languages one must be the other plus up
// to three letters (Iran, Iranian). If names are declined, both may have different endings
// (Москва, Москве).
func sameName(a, b string, endings bool) bool {
	common := 0
	for a != "" && b != "" {
		r, n := utf8.DecodeRuneInString(a)
		s, m := utf8.DecodeRuneInString(b)
		if fold(r) != fold(s) {
			break
		}
		a, b = a[n:], b[m:]
		common++
	}
	if common < 2 || len(a) > 12 || len(b) > 12 {
		return false
	}
	left, right := utf8.RuneCountInString(a), utf8.RuneCountInString(b)
	short, long := min(left, right), max(left, right)
	switch {
	case long == 0:
		return true
	case short == 0 && (a+b == "s" || strings.Trim(a+b, "0123456789") == ""): // LLM, LLMs; WSJ, WSJ15
		return true
	case common < 3, long > 3:
		return false
	case endings:
		return short <= 2
	}
	return short == 0 && common >= 4
}

// explained marks acronyms as found if neighbouring words of text begin with their letters, and
// names if the document has their initials as an acronym.
func (n *names) explained(text string, open []int, source bool) {
	type pattern struct {
		run     *run
		letters string // of an acronym, folded
		state   int
		initial uint64 // hash of the first letters of a name
	}
	patterns := make([]pattern, 0, len(open))
	for _, i := range open {
		r := &n.runs[i]
		if r.found {
			continue
		}
		p := pattern{run: r}
		if r.acronym {
			p.letters = strings.TrimSuffix(strings.ToLower(n.words[r.first].text), "s")
		} else if source && r.last-r.first > 1 {
			var initials []byte
			for k := r.first; k < r.last; k++ {
				initials = append(initials, n.words[k].text[0])
			}
			p.initial = hashOf(string(initials))
		} else {
			continue
		}
		patterns = append(patterns, p)
	}
	if len(patterns) == 0 {
		return
	}
	scan := scanner{text: text}
	var t token
	for scan.next(&t) {
		if t.kind != word {
			continue
		}
		first, _ := utf8.DecodeRuneInString(text[t.start:])
		first = fold(first)
		for k := range patterns {
			p := &patterns[k]
			switch {
			case p.run.found:
			case p.initial != 0:
				p.run.found = t.hash == p.initial && t.upper >= 2
			case rune(p.letters[p.state]) == first:
				if p.state++; p.state == len(p.letters) {
					p.run.found, p.state = true, 0
				}
			case t.runes <= 3: // of, and, the
			case rune(p.letters[0]) == first:
				p.state = 1
			default:
				p.state = 0
			}
		}
	}
}

// respelled marks names as found if text has their letters in this order, with any space or
// marks between them.
func (n *names) respelled(text string, open []int) {
	var quotes []quote
	var runs []*run
	for _, i := range open {
		r := &n.runs[i]
		if r.found || len(quotes) == quotesMost {
			continue
		}
		var q quote
		for k := r.first; k < r.last; k++ {
			for _, c := range n.words[k].text {
				if f := fold(c); f != 0 {
					q.letters = append(q.letters, f)
				}
			}
		}
		if n := len(q.letters) - 1; n < 1 {
			continue
		} else if n > 4 && q.letters[n] == 's' { // IBM Models, IBM Model
			q.letters = q.letters[:n]
		}
		q.table()
		quotes, runs = append(quotes, q), append(runs, r)
	}
	findQuotes(text, quotes)
	for i, q := range quotes {
		runs[i].found = q.found
	}
}

package checks

import (
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// names are what a summary calls by name: acronyms, words with capitals inside, and capitalised words that do not begin
// a sentence. Which words those are is guessed from how they are written; no list of names is needed.
type names struct {
	words []nameWord
	runs  []run
}

type nameWord struct {
	hash, stem uint64
	text       string
	first      rune // folded
	run        int  // of runs
	last       int  // where the source had it last, as a number of words; 0 for nowhere
	found      bool
	checked    bool // else it only says what stands beside it
}

// run is a name of one word or several.
type run struct {
	start, end  int // in the summary's string
	first, last int // words[first:last]
	acronym     bool
	near        uint64 // bit i: words i and i+1 stand near each other in the source
	found       bool
}

const (
	namesMost   = 200
	runMost     = 8 // words of one name
	acronymMost = 6 // letters; what is longer is a word set in capitals
	// Words of one name stand so near each other in the source: "Chen, the new head, Mei".
	nearWords = 5
)

// of collects the names of one string of a summary that is in the given language.
func (n *names) of(text, language string) {
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

// begins says whether what lies before a word makes it the first of a sentence, of a line, or of a quotation, where a
// capital says nothing.
func begins(gap string) bool { return strings.ContainsAny(gap, ".!?:;\n…•*#|\"“„«»—–") }

// joined says whether what lies between two words lets them be one name: a space, a hyphen, an apostrophe, or the full
// stop of an initial.
func joined(gap string, before token) bool {
	switch gap {
	case " ", "-", "’", "'", "\u00a0", " & ":
		return true
	case ". ", ".":
		return before.runes == 1
	}
	return false
}

// shouted says whether a word set in capitals stands beside another one, or is too long for an acronym.
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

// acronym says whether a word is letters in capitals, at most an s behind them.
func acronym(t token) bool {
	return t.runes <= acronymMost+1 && t.upper >= 2 && t.upper >= t.runes-1
}

// cased says whether a capital means something in the word's script; it does where there are small letters.
func cased(w string) bool {
	r, _ := utf8.DecodeRuneInString(w)
	return r < 0x590
}

// function says whether a word is a function word of a language; of any where the language is not known.
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

// roman says whether a word is a number of a king or a chapter.
func roman(w string) bool { return len(w) <= 6 && strings.Trim(w, "IVXLC") == "" }

// heading is where a heading of Markdown ends that the line from start on begins with, 0 for none: titles are written in
// capitals.
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

// meet takes note that the source has a word with the stem of words[k], as its at-th word, and says whether more of the kind
// would tell nothing new.
func (n *names) meet(k int, t *token, at int) (known bool) {
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

// settle decides which names stand in the source: all their checked words do, each near the next.
func (n *names) settle() {
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

// findLoosely looks once more for the names that do not stand in text as they are: inflected, written in one word or with
// a hyphen, as an acronym or spelled out. summary is where an acronym may be explained.
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

// inflected takes words for found that the source has with another ending.
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

// inflects says whether names change their endings in a language.
func inflects(language string) bool {
	switch language {
	case "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no":
		return false
	}
	return true
}

// sameName compares two words letter by letter. In most languages one has to be the other with up to three letters behind
// it (Iran, Iranian); where names are declined, both may have an ending of their own (Москва, Москве).
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

// explained takes acronyms for found whose letters begin neighbouring words of text, and names whose first letters the
// source has as an acronym.
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

// respelled takes names for found whose letters stand in text in this order, whatever lies between them.
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

package checks

import (
	"strings"
	"unicode/utf8"
)

// quote is a piece of a quotation between omissions and insertions. The document must have its
// letters and digits in this order. Space, marks, case and the kind of quotation marks do not
// count.
type quote struct {
	start, end int    // the whole quotation in the summary, without its marks
	letters    []rune // folded
	fail       []int  // failure function of Knuth, Morris and Pratt
	state      int
	found      bool
}

const (
	quotesMost       = 20
	quoteLettersMost = 2000 // of one piece; the rest is not compared
	insertionMost    = 100  // bytes of an insertion with its brackets
	// The document must have a piece of fewer letters as whole words.
	looseFrom = 12
)

// closing returns the marks that close a quotation that r opens; empty if r opens none.
func closing(r rune) string {
	switch r {
	case '"':
		return `"`
	case '“':
		return "”"
	case '„':
		return "“”\""
	case '«':
		return "»"
	case '»':
		return "«»"
	case '‹':
		return "›"
	case '「':
		return "」"
	case '『':
		return "』"
	case '‘', '‚':
		return "’‘"
	case '\'':
		return "'"
	}
	return ""
}

// quotesOf lists the pieces of the quotations of a summary.
func quotesOf(text string) []quote {
	var out []quote
	// For each opening mark, the end of a text without its closing mark. It keeps the search
	// from starting again at every mark.
	open := map[rune]int{}
	for i := 0; i < len(text) && len(out) < quotesMost; {
		r, n := utf8.DecodeRuneInString(text[i:])
		start := i + n
		ends := closing(r)
		if ends == "" || i < open[r] || !opens(text, i, start, r) {
			i = start
			continue
		}
		end, ok := closes(text, start, r, ends)
		if !ok {
			open[r] = end
			i = start
			continue
		}
		out = appendPieces(out, text, start, end)
		_, n = utf8.DecodeRuneInString(text[end:])
		i = end + n
	}
	return out
}

// opens reports whether the mark at i opens a quotation. Straight marks and single ones can also
// be feet, inches and apostrophes.
func opens(text string, i, start int, r rune) bool {
	if start >= len(text) {
		return false
	}
	switch r {
	case '"', '\'', '‘', '‚':
		return !letterBefore(text, i) && letterAt(text, start) || r == '"' && !letterBefore(text, i)
	case '»': // of »…«; else it closes «…»
		return letterAt(text, start) && !letterBefore(text, i)
	}
	return true
}

// closes finds the mark that closes the quotation from start on. Without one, ok is false and
// end is the end of the paragraph.
func closes(text string, start int, open rune, ends string) (end int, ok bool) {
	for i := start; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n' && strings.HasPrefix(text[i+n:], "\n"):
			return i, false
		case strings.ContainsRune(ends, r) && r != utf8.RuneError:
			apostrophe := (open == '\'' || open == '‘') && letterAt(text, i+n)
			if !apostrophe {
				return i, true
			}
		}
		i += n
	}
	return len(text), false
}

// appendPieces cuts a quotation at omissions ("…", "...") and insertions ("[the board]").
func appendPieces(out []quote, text string, start, end int) []quote {
	q := quote{start: start, end: end}
	flush := func() {
		if len(q.letters) > 0 && len(out) < quotesMost {
			q.table()
			out = append(out, q)
		}
		q.letters, q.fail = nil, nil
	}
	for i := start; i < end; {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch k := class(r); {
		case k == letterClass || k == digitClass || k == wideClass:
			if f := fold(r); f != 0 && len(q.letters) < quoteLettersMost {
				q.letters = append(q.letters, f)
			}
		case r == '…' || strings.HasPrefix(text[i:end], "..") || strings.HasPrefix(text[i:end], ". . "):
			flush()
		case r == '[':
			flush()
			if k := strings.IndexByte(text[i:min(end, i+insertionMost)], ']'); k > 0 {
				n = k + 1
			}
		}
		i += n
	}
	flush()
	return out
}

func (q *quote) table() {
	q.fail = make([]int, len(q.letters))
	k := 0
	for i := 1; i < len(q.letters); i++ {
		for k > 0 && q.letters[i] != q.letters[k] {
			k = q.fail[k-1]
		}
		if q.letters[i] == q.letters[k] {
			k++
		}
		q.fail[i] = k
	}
}

// step takes the next letter of the document and reports whether the piece ends with it.
func (q *quote) step(r rune) bool {
	for q.state > 0 && q.letters[q.state] != r {
		q.state = q.fail[q.state-1]
	}
	if q.letters[q.state] == r {
		q.state++
	}
	if q.state == len(q.letters) {
		q.state = q.fail[q.state-1]
		return true
	}
	return false
}

// findQuotes marks the pieces that text has.
func findQuotes(text string, quotes []quote) {
	open := make([]*quote, 0, len(quotes))
	for i := range quotes {
		if q := &quotes[i]; !q.found {
			q.state = 0
			open = append(open, q)
		}
	}
	for i := 0; i < len(text) && len(open) > 0; {
		var f rune
		if c := text[i]; c < utf8.RuneSelf {
			f = rune(folded[c])
			i++
		} else if r, n := utf8.DecodeRuneInString(text[i:]); class(r) != otherClass {
			f = fold(r)
			i += n
		} else {
			i += n
		}
		if f == 0 {
			continue
		}
		for k := 0; k < len(open); k++ {
			q := open[k]
			if q.step(f) && (len(q.letters) >= looseFrom || q.wholeWords(text, i)) {
				q.found = true
				open[k] = open[len(open)-1]
				open = open[:len(open)-1]
				k--
			}
		}
	}
}

// wholeWords reports whether the piece that ends at text[:end] begins and ends where words do.
func (q *quote) wholeWords(text string, end int) bool {
	if letterAt(text, end) {
		return false
	}
	i := end
	for left := len(q.letters); left > 0 && i > 0; {
		r, n := utf8.DecodeLastRuneInString(text[:i])
		i -= n
		if class(r) != otherClass && fold(r) != 0 {
			left--
		}
	}
	return !letterBefore(text, i)
}

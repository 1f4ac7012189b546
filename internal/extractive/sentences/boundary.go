package sentences

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	closers = "\"'”’»›)]}*_`“‘" // “ and ‘ close a German quotation
	openers = "\"'“‘«‹([{*_`„‚¿¡—–-"
	// How far a decision looks back or ahead, in bytes. The bound keeps time linear.
	window = 48
)

// ends yields the offset after every sentence of text[start:end].
func ends(text string, start, end int) iter.Seq[int] {
	return func(yield func(int) bool) {
		first := start // of the current sentence
		for i := start; i < end; {
			r, n := utf8.DecodeRuneInString(text[i:end])
			switch r {
			case '。', '！', '？', '｡', '।', '॥', '؟', '۔':
				i = skip(text, i+n, end, "。！？｡।॥؟۔」』”’）】》\"')")
			case '.', '!', '?', '…':
				stop := i
				i = skip(text, i+n, end, ".!?…")
				mark := text[stop:i]
				i = skip(text, i, end, closers)
				if k := frenchQuote(text[i:end]); k > 0 {
					i += k
				}
				if i < end && text[i] == '[' { // a note's number without a space: "…ended.[12] The"
					i = skipNote(text, i, end)
				}
				if i < end && !breaks(text, first, stop, i, end, mark) {
					continue
				}
			default:
				i += n
				continue
			}
			if !yield(i) {
				return
			}
			first = i
		}
		if first < end {
			yield(end)
		}
	}
}

// breaks decides whether the mark at stop ends the sentence that began at first;
// after is where the marks and closing quotes end.
func breaks(text string, first, stop, after, end int, mark string) bool {
	if r, _ := utf8.DecodeRuneInString(text[after:end]); !unicode.IsSpace(r) {
		// Chinese and Japanese have no space here, Latin script always has.
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
	}
	next := word(text[after:min(end, after+window)])
	if next == "" {
		return true
	}
	r := firstRune(next)
	if unicode.IsLower(r) {
		return false
	}
	if mark != "." {
		return true
	}
	from := max(first, stop-window)
	tok := text[from:stop]
	if k := strings.LastIndexFunc(tok, unicode.IsSpace); k >= 0 {
		_, n := utf8.DecodeRuneInString(tok[k:])
		tok, from = tok[k+n:], from+k+n
	} else if from > first {
		return true // longer than any abbreviation
	}
	bare := strings.TrimLeft(tok, openers)
	if bare == "" {
		return true
	}
	before := strings.TrimSpace(text[first:from])
	if enumerates(bare) && (before == "" && !strings.ContainsAny(text[stop:after], closers) || label(before)) {
		return false // "1. Introduction", "B. Results", "IV. The end", "Exp. 2. We took"
	}
	low := strings.ToLower(bare)
	switch {
	case before == "" && len(bare) <= 6 && unicode.IsDigit(r):
		return false // "Cas. 2. Let …": too short for a sentence, and numbered
	case isTitle(low):
		return false
	case isReference(low):
		// "Fig. 3", "No. IV", "p. 7"; "said no. The"
		return !unicode.IsDigit(r) && isStarter(next)
	case isAbbreviation(low), initials(bare):
		return isStarter(next)
	case utf8.RuneCountInString(bare) == 1 && !unicode.IsDigit(firstRune(bare)) && len(next) == 1:
		return false // "z. B.", "i. d. R."
	case ordinal(bare):
		return !isMonth(strings.ToLower(next))
	}
	return true
}

// skip returns the offset after all characters of set at i.
func skip(text string, i, end int, set string) int {
	for i < end {
		r, n := utf8.DecodeRuneInString(text[i:end])
		if !strings.ContainsRune(set, r) || r == utf8.RuneError {
			break
		}
		i += n
	}
	return i
}

// frenchQuote returns the length of a closing guillemet after a space, else 0.
func frenchQuote(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if !unicode.IsSpace(r) || !strings.HasPrefix(s[n:], "»") {
		return 0
	}
	n += len("»")
	if r, _ := utf8.DecodeRuneInString(s[n:]); n < len(s) && !unicode.IsSpace(r) {
		return 0
	}
	return n
}

func skipNote(text string, i, end int) int {
	k := strings.IndexByte(text[i:min(end, i+8)], ']')
	if k < 2 || strings.Trim(text[i+1:i+k], "0123456789,") != "" {
		return i
	}
	return i + k + 1
}

// word returns the first word of s, without space, quotes and brackets before it.
func word(s string) string {
	s = strings.TrimLeftFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(openers, r) || r == '>' || r == '#'
	})
	if k := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }); k > 0 {
		return s[:k]
	}
	if s != "" {
		_, n := utf8.DecodeRuneInString(s)
		return s[:n]
	}
	return ""
}

// enumerates reports whether s numbers what follows: 3, 2.1, b, iv.
func enumerates(s string) bool {
	if len(s) > 8 {
		return false
	}
	return strings.Trim(s, "0123456789.") == "" || len(s) == 1 && unicode.IsLetter(rune(s[0])) ||
		strings.Trim(s, "IVXLC") == "" || strings.Trim(s, "ivxlc") == ""
}

// initials reports whether s is a capital, or letters with full stops between them: J, U.S, e.g.
func initials(s string) bool {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		r, n := utf8.DecodeRuneInString(p)
		if n == 0 || n != len(p) || !unicode.IsLetter(r) || len(parts) == 1 && !unicode.IsUpper(r) || i > 5 {
			return false
		}
	}
	return true
}

// label reports whether s, at the start of a sentence, is a label before a number, such as Exp.
func label(s string) bool {
	return len(s) <= 12 && strings.HasSuffix(strings.TrimRight(s, closers), ".") && !strings.ContainsRune(s, ' ')
}

func ordinal(s string) bool {
	return len(s) <= 2 && strings.Trim(s, "0123456789") == ""
}

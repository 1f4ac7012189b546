package extractive

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/extractive/sentences"
	"github.com/gistmill/gistmill/internal/text"
)

// markup finds markup that a summary should not have. The patterns are compiled on first use and
// never change.
type markup struct {
	image, link, tag, note, citation, quoteMark *regexp.Regexp
}

var patterns = sync.OnceValue(func() markup { //nolint:gochecknoglobals // compiled once, never changed
	const (
		name = `\p{Lu}[\p{L}'’.-]*`
		// One work: names, then a year, as in "Erkan and Radev, 2004a, p. 3".
		work = `(?:[\p{Ll}.,]+ ){0,4}` + name + `(?:,? (?:` + name + `|[\p{Ll}.&]+|&)){0,12},? \(?(?:1[6-9]|20)\d\d[a-z]?\)?(?:, ?(?:(?:1[6-9]|20)\d\d)?[a-z]?)*(?:[,:] ?p{0,2}\.? ?[\d–-]+)?`
	)
	return markup{
		image:     regexp.MustCompile(`!\[[^\]]*\]\([^)]*\)`),
		link:      regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`),
		tag:       regexp.MustCompile(`</?[a-zA-Z][^<>]*>`),
		note:      regexp.MustCompile(`\s?\[(?:\^?\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*|\^[^\]]{1,20}|[A-Z])\]`),
		citation:  regexp.MustCompile(`\s?[(\[]` + work + `(?:; ?` + work + `)*[)\]]`),
		quoteMark: regexp.MustCompile(`(^|\n)[ \t]*(?:>[ \t]?)+`),
	}
})

// clean returns the sentence for readers: on one line, without list markers, quote markers,
// emphasis, links, note numbers and citations in brackets.
func clean(s sentences.Sentence) string {
	t := s.Text
	if s.Kind == sentences.Quote {
		t = patterns().quoteMark.ReplaceAllString(t, "$1")
	}
	if s.Kind == sentences.Item {
		t = trimMarker(t)
	}
	if strings.ContainsAny(t, "[(<") {
		p := patterns()
		t = p.image.ReplaceAllString(t, "")
		t = p.link.ReplaceAllString(t, "$1")
		t = p.tag.ReplaceAllString(t, "")
		t = p.note.ReplaceAllString(t, "")
		t = text.OneLine(t)
		t = p.citation.ReplaceAllString(t, "")
	}
	t = emphasis(text.OneLine(t))
	return text.OneLine(balanceQuotes(t))
}

// trimMarker removes the bullet or number of a list item.
func trimMarker(t string) string {
	head, rest, ok := strings.Cut(t, " ")
	if !ok || utf8.RuneCountInString(head) > 4 || strings.IndexFunc(head, unicode.IsLetter) >= 0 {
		return t
	}
	return strings.TrimSpace(rest)
}

// emphasis removes asterisks, backquotes and underscores that mark a word.
func emphasis(t string) string {
	if !strings.ContainsAny(t, "*_`") {
		return t
	}
	var b strings.Builder
	prev := ' '
	for i, r := range t {
		switch r {
		case '*', '_', '`':
			next, _ := utf8.DecodeRuneInString(t[i+1:])
			inWord := unicode.IsLetter(prev) || unicode.IsDigit(prev)
			if r == '_' && inWord && (unicode.IsLetter(next) || unicode.IsDigit(next)) || prev == ' ' && next == ' ' {
				b.WriteRune(r) // snake_case, a * b
			}
		default:
			b.WriteRune(r)
		}
		prev = r
	}
	return b.String()
}

// balanceQuotes removes a quotation mark at an end of t if its counterpart is in another
// sentence.
func balanceQuotes(t string) string {
	for _, q := range []struct{ open, shut string }{{`"`, `"`}, {"“", "”"}, {"«", "»"}, {"„", "“"}} {
		open, shut := strings.Count(t, q.open), strings.Count(t, q.shut)
		switch {
		case q.open == q.shut && open%2 == 1 && strings.HasPrefix(t, q.open), q.open != q.shut && open == shut+1 && strings.HasPrefix(t, q.open):
			t = strings.TrimSpace(t[len(q.open):])
		case q.open == q.shut && open%2 == 1 && strings.HasSuffix(t, q.shut), q.open != q.shut && q.open != "„" && shut == open+1 && strings.HasSuffix(t, q.shut):
			t = strings.TrimSpace(t[:len(t)-len(q.shut)])
		}
	}
	return t
}

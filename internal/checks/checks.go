// Package checks compares a summary with its source, offline and by rules: numbers, dates, names and quotations that do
// not stand in the source, parts of it that the summary does not reflect, length and language.
//
// It owns what is compared and the thresholds (docs/decisions/2026-11-25-checks-on-summaries.md has the reasons,
// test/quality/CHECKS.md what they find and miss). It refuses to own what becomes of a finding, and it judges no meaning: a
// summary without findings can be wrong, and one with findings right.
package checks

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/text"
)

// Kind is which check found something.
type Kind string

// The checks.
const (
	Language Kind = "language"
	Length   Kind = "length"
	Coverage Kind = "coverage"
	Number   Kind = "number"
	Date     Kind = "date"
	Name     Kind = "name"
	Quote    Kind = "quote"
	More     Kind = "more" // findings beyond the bound
)

// Finding is one thing to look at in a summary. Its JSON fields are relied on.
type Finding struct {
	Check   Kind   `json:"check"`
	Found   string `json:"found"`   // the piece of the summary at fault, or its measure; on one line, at most 80 characters
	Message string `json:"message"` // what is wrong with it
}

const (
	// Most findings of one summary; a last one counts the others.
	Most = 20
	// foundRunes bounds Found.
	foundRunes = 80
	// summaryBytes bounds what of a summary is looked at, its length aside.
	summaryBytes = 256 << 10
)

// Document is what a model was given.
type Document struct {
	Text   string
	Around []string // what it was given besides: title, address
}

// Asked is what a model was told, as far as it can be checked.
type Asked struct {
	Words    int  // 0: not known
	Language bool // to answer in the language of the document
}

// Check compares a summary, in one string or the several of an object, with the document. Findings come in a stable order:
// language, length, coverage, then numbers, dates, names and quotations, each in the order of the summary; nil is none.
// Time is linear in the length of the document, memory does not depend on it. Any bytes will do.
func Check(d Document, summary []string, asked Asked) []Finding {
	c := check{document: d, asked: asked}
	left := summaryBytes
	for _, s := range summary {
		n := min(len(s), left)
		c.summary = append(c.summary, s[:n])
		left -= n
	}
	source := c.language(strings.Join(c.summary, "\n"))
	c.length(summary, source)
	c.wordsAndNames()
	c.exact()
	return c.bounded()
}

// JSON is findings as the ledger keeps them: an array, never null.
func JSON(findings []Finding) json.RawMessage {
	if len(findings) == 0 {
		return json.RawMessage("[]")
	}
	b, err := json.Marshal(findings)
	if err != nil { // strings always encode
		panic(fmt.Sprintf("checks: encode findings: %v", err))
	}
	return b
}

// check is the work on one summary.
type check struct {
	document   Document
	summary    []string
	asked      Asked
	tongue     string // of the summary; empty where it is not known
	translated bool   // the summary is in another language than the document
	findings   []Finding
	names      []Finding // come after what is exact
}

func (c *check) add(k Kind, found, format string, args ...any) {
	c.findings = append(c.findings, Finding{k, oneLine(found), fmt.Sprintf(format, args...)})
}

// language compares the languages, and returns the number of words of the document.
func (c *check) language(summary string) int {
	said := listen(summary)
	source := listen(c.document.Text)
	c.tongue = said.tongue()
	from, to := differ(&source, &said)
	c.translated = from != ""
	if c.translated && c.asked.Language {
		c.add(Language, to, "the document is in %s", from)
	}
	return source.counted
}

// wordsAndNames reads the document for the summary's words: where each stands tells coverage and names.
func (c *check) wordsAndNames() {
	if c.translated { // and so are names
		return
	}
	var n names
	for _, s := range c.summary {
		n.of(s, c.tongue)
	}
	v := newVocabulary(c.summary, &n, partsOf(len(c.document.Text)))
	v.find(c.document.Text, v.parts, &n)
	for _, s := range c.document.Around {
		v.find(s, 0, &n)
	}
	c.coverage(v)
	n.settle()
	n.findLoosely(c.document.Text, c.summary, c.tongue)
	c.nameFindings(&n)
}

func (c *check) nameFindings(n *names) {
	for i := range n.runs {
		if r := &n.runs[i]; !r.found {
			var words []string
			for k := r.first; k < r.last; k++ {
				words = append(words, n.words[k].text)
			}
			c.names = append(c.names, Finding{Name, oneLine(strings.Join(words, " ")), "this name does not stand in the document"})
		}
	}
}

// exact checks what is compared by value: numbers, dates and quotations.
func (c *check) exact() {
	var numbers, dates, quotes []Finding
	for _, s := range c.summary {
		ds := datesOf(s)
		ns := numbersOf(s, ds)
		var qs []quote
		if !c.translated {
			qs = quotesOf(s)
		}
		findDates(c.document.Text, ds)
		findNumbers(c.document.Text, ns)
		findQuotes(c.document.Text, qs)
		for _, a := range c.document.Around {
			findDates(a, ds)
			findNumbers(a, ns)
			findQuotes(a, qs)
		}
		for _, x := range ns {
			if !x.found {
				numbers = append(numbers, Finding{Number, oneLine(s[x.start:x.end]), "this number does not stand in the document"})
			}
		}
		for _, x := range ds {
			if !x.found {
				dates = append(dates, Finding{Date, oneLine(s[x.start:x.end]), "this date does not stand in the document"})
			}
		}
		last := -1
		for _, x := range qs {
			if !x.found && x.start != last {
				last = x.start
				quotes = append(quotes, Finding{Quote, oneLine(s[x.start:x.end]), "these words do not stand in the document like this"})
			}
		}
	}
	c.findings = append(append(append(append(c.findings, numbers...), dates...), c.names...), quotes...)
}

// bounded drops what was found twice and what is too much.
func (c *check) bounded() []Finding {
	seen := map[Finding]bool{}
	kept := c.findings[:0]
	for _, f := range c.findings {
		if !seen[f] {
			seen[f] = true
			kept = append(kept, f)
		}
	}
	if over := len(kept) - Most; over > 0 {
		kept = append(kept[:Most-1], Finding{More, fmt.Sprint(over + 1), "further findings are not listed"})
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// oneLine is a piece of a summary that may be shown anywhere.
func oneLine(s string) string {
	s = text.Cut(s, 8*foundRunes)
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return text.CutRunes(text.OneLine(s), foundRunes)
}

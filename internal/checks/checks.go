// Package checks compares a summary with its document by rules, offline. It finds numbers,
// dates, names and quotations that the document does not have, parts of the document that the
// summary does not reflect, a wrong length or language, and answers that decline.
//
// It owns the rules and their thresholds. docs/decisions/2026-11-25-checks-on-summaries.md has
// the reasons, and test/quality/CHECKS.md shows what the rules find and miss. It refuses to own
// the use of a finding, and it does not judge meaning: a summary without findings can be wrong,
// and one with findings can be right.
package checks

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gistmill/gistmill/internal/text"
)

// Kind names a check.
type Kind string

// The checks.
const (
	Declined Kind = "refusal"
	Language Kind = "language"
	Length   Kind = "length"
	Coverage Kind = "coverage"
	Number   Kind = "number"
	Date     Kind = "date"
	Name     Kind = "name"
	Quote    Kind = "quote"
	More     Kind = "more" // counts findings beyond [Most]
)

// Finding is something in a summary that a check did not find in the document. Its JSON form is
// stored in the ledger and exported.
type Finding struct {
	Check Kind `json:"check"`
	// Found is the piece of the summary, or its measure: one line of at most 80 characters.
	Found   string `json:"found"`
	Message string `json:"message"` // what is wrong with it
}

const (
	// Most is the largest number of findings for one summary. The last one then counts the
	// others.
	Most = 20
	// foundRunes bounds Found, in characters.
	foundRunes = 80
	// summaryBytes is how much of a summary is checked. Its length is counted in full.
	summaryBytes = 256 << 10
)

// Document is the input of the model.
type Document struct {
	Text   string
	Around []string // further input: title, URI
}

// Asked is what the request asked for, as far as it can be checked.
type Asked struct {
	Words int // 0: not known
	// Language is the BCP 47 tag of the language, or [SameLanguage]; empty: not known.
	Language string
}

// SameLanguage asks for the language of the document.
const SameLanguage = "same"

// Check compares a summary with its document. The summary is one string, or the strings of an
// object. Findings have a stable order: refusal, language, length, coverage, numbers, dates, names,
// quotations, each in the order of the summary; nil means none. Check takes time linear in the
// length of the document, and memory that does not depend on it. It accepts any bytes and is
// safe for concurrent use.
func Check(d Document, summary []string, asked Asked) []Finding {
	c := check{document: d, asked: asked}
	left := summaryBytes
	for _, s := range summary {
		n := min(len(s), left)
		c.summary = append(c.summary, s[:n])
		left -= n
	}
	c.refusal()
	source := c.compareLanguages(strings.Join(c.summary, "\n"))
	c.length(summary, source)
	c.wordsAndNames()
	c.exact()
	return c.bounded()
}

// JSON encodes findings as the ledger stores them: an array, never null.
func JSON(findings []Finding) json.RawMessage {
	if len(findings) == 0 {
		return json.RawMessage("[]")
	}
	b, err := json.Marshal(findings)
	if err != nil { // cannot happen: the fields are strings
		panic(fmt.Sprintf("checks: encode findings: %v", err))
	}
	return b
}

// check is the work on one summary.
type check struct {
	document        Document
	summary         []string
	asked           Asked
	summaryLanguage string // empty: not known
	translated      bool   // the summary is in another language than the document
	findings        []Finding
	names           []Finding // come after what is exact
}

func (c *check) add(k Kind, found, format string, args ...any) {
	c.findings = append(c.findings, Finding{k, oneLine(found), fmt.Sprintf(format, args...)})
}

// compareLanguages compares the languages, and returns the number of words of the document.
func (c *check) compareLanguages(summary string) int {
	said := detectLanguage(summary)
	source := detectLanguage(c.document.Text)
	c.summaryLanguage = said.language()
	from, to := differ(&source, &said)
	c.translated = from != ""
	switch c.asked.Language {
	case "":
	case SameLanguage:
		if c.translated {
			c.add(Language, to, "the document is in %s", from)
		}
	default:
		if to := DetectLanguage(summary); to != "" && !mayBe(to, c.asked.Language) {
			c.add(Language, to, "asked for %s", c.asked.Language)
		}
	}
	return source.counted
}

// wordsAndNames looks for the summary's words in the document. Their places give coverage and
// names.
func (c *check) wordsAndNames() {
	if c.translated { // names may be translated too
		return
	}
	var n names
	for _, s := range c.summary {
		n.collect(s, c.summaryLanguage)
	}
	v := newVocabulary(c.summary, &n, partsOf(len(c.document.Text)))
	v.find(c.document.Text, v.parts, &n)
	for _, s := range c.document.Around {
		v.find(s, 0, &n)
	}
	c.coverage(v)
	n.decide()
	n.findLoosely(c.document.Text, c.summary, c.summaryLanguage)
	c.nameFindings(&n)
}

func (c *check) nameFindings(n *names) {
	for i := range n.runs {
		if r := &n.runs[i]; !r.found {
			var words []string
			for k := r.first; k < r.last; k++ {
				words = append(words, n.words[k].text)
			}
			c.names = append(c.names, Finding{Name, oneLine(strings.Join(words, " ")), "this name is not in the document"})
		}
	}
}

// exact checks numbers, dates and quotations, which are compared by value.
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
				numbers = append(numbers, Finding{Number, oneLine(s[x.start:x.end]), "this number is not in the document"})
			}
		}
		for _, x := range ds {
			if !x.found {
				dates = append(dates, Finding{Date, oneLine(s[x.start:x.end]), "this date is not in the document"})
			}
		}
		last := -1
		for _, x := range qs {
			if !x.found && x.start != last {
				last = x.start
				quotes = append(quotes, Finding{Quote, oneLine(s[x.start:x.end]), "the document does not have these words in this form"})
			}
		}
	}
	c.findings = append(append(append(append(c.findings, numbers...), dates...), c.names...), quotes...)
}

// bounded drops duplicate findings and those beyond Most.
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

// oneLine makes a piece of a summary safe to show: one line without control characters.
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

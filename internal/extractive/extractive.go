// Package extractive is the extractive engine. It summarizes a document by selecting whole
// sentences of it, without a network or a model.
//
// It owns the selection and cleaning of sentences: LexRank weighted by the position in document
// and section, by words of the title and by length, with a bound on redundancy. It refuses to
// own where sentences end (package [sentences]), chunking for a language model, and writing
// words that the document does not have.
package extractive

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/extractive/sentences"
)

// Version is the engine's part of a summary's name. It changes whenever the same document may
// give another summary.
const Version = "extractive-1"

const (
	// The number of sentences that are ranked together. LexRank is quadratic, so a longer
	// document is ranked in parts of this size. The best of each part reach the next round.
	partSize = 600
	// One in survivors sentences of a part reaches the next round. It divides partSize.
	survivors = 3
)

// Summarize returns about words words of text: whole sentences in document order, joined by
// spaces. The result has at most a tenth more words, unless every sentence is longer. title may
// be empty. A document that is not longer than words is returned whole, without headings,
// tables and code. A document without a usable sentence gives its first words. A book gives at
// most some hundred sentences, for any number of words. The result is empty only if text has no
// word, and equal arguments give equal results.
//
// Time is linear in the length of text. Memory, besides text, is bounded by the number of
// headings. Summarize is safe for concurrent use. Its only error is that of ctx.
func Summarize(ctx context.Context, title, text string, words int) (string, error) {
	if words <= 0 {
		return "", nil
	}
	if whole, ok := short(text, words); ok {
		return whole, nil
	}
	for _, accept := range []filter{readable, anySentence} {
		list, doc, err := collect(ctx, title, text, accept)
		if err != nil {
			return "", fmt.Errorf("rank sentences: %w", err)
		}
		if s := pick(list, doc, words); s != "" {
			return s, nil
		}
	}
	return firstWords(text, words), nil
}

// wordBytes bounds a word of a text that is returned as it is. Longer ones are data.
const wordBytes = 64

// short returns a text whole if it has at most words words.
func short(text string, words int) (string, bool) {
	if len(text)/wordBytes > words {
		return "", false
	}
	n := 0
	var parts, heads []string
	for s := range sentences.All(text) {
		if n += count(s.Text); n > words {
			return "", false
		}
		switch s.Kind {
		case sentences.Prose, sentences.Item, sentences.Quote:
			parts = append(parts, clean(s))
		case sentences.Heading, sentences.Table, sentences.Code:
			heads = append(heads, strings.Trim(strings.Join(strings.Fields(s.Text), " "), "#=- "))
		}
	}
	if len(parts) == 0 {
		parts = heads
	}
	return join(parts), true
}

// firstWords is the fallback for a text without sentences.
func firstWords(text string, words int) string {
	var b strings.Builder
	for w := range strings.FieldsSeq(text) {
		if len(w) > wordBytes {
			w = strings.ToValidUTF8(w[:wordBytes], "")
		}
		n := count(w)
		if words -= n; words < 0 {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}

// join joins sentences with spaces, but not after a full stop of Chinese or Japanese.
func join(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if s := b.String(); s != "" && !strings.HasSuffix(s, "。") && !strings.HasSuffix(s, "！") && !strings.HasSuffix(s, "？") {
			b.WriteByte(' ')
		}
		b.WriteString(p)
	}
	return b.String()
}

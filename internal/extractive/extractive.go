// Package extractive is the built-in engine: it summarizes a document by picking whole
// sentences of it, with no network and no model.
//
// It owns which sentences are picked and how they are cleaned: LexRank weighted by
// position in document and section, words of the title and length, under a bound on
// redundancy. It refuses to own where sentences end (package sentences), chunking for a
// language model, and anything that would write a word that the document does not have.
package extractive

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/extractive/sentences"
)

// Version names the engine within a summary's name. It changes whenever the same
// document may give another summary.
const Version = "extractive-1"

const (
	// Sentences that are ranked against each other at once. LexRank is quadratic, so a
	// longer document is ranked in parts of this size, whose best go into the next round.
	partSize = 600
	// One in so many sentences of a part reaches the next round; divides partSize.
	survivors = 3
)

// Summarize returns about words words of text: whole sentences in the order of the
// document, joined by spaces, never more than a tenth above words unless no sentence is
// that short. title may be empty. A document that is no longer than asked comes back
// whole, without headings, tables and code; one without a single usable sentence gives
// its first words. From a book come some hundred sentences at most, however many words
// are asked for. The result is empty only when text has no word, and is always the same.
// Time is linear in the length of text, memory beside it bounded by its headings. It is
// safe for concurrent use. The only error is that of ctx.
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

// wordBytes bounds a word where a text comes back unread: what is longer is data.
const wordBytes = 64

// short returns the whole of a text that has no more words than asked for.
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

// firstWords is the last resort for what has no sentences at all.
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

// join sets sentences side by side, with no space behind a full stop of Chinese or
// Japanese.
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

package summarize

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/extractive"
)

// quotedWords is the approximate number of words that are quoted from each chunk. Merging
// amplifies hallucinations. Sentences of the document next to the notes are the best known
// remedy (Ou & Lapata, ACL Findings 2025.289).
const quotedWords = 60

// quote selects whole sentences of text.
func (w *documentWork) quote(ctx context.Context, text string, words int) (string, error) {
	quoted, err := extractive.Summarize(ctx, w.doc.Title, text, words)
	if err != nil {
		return "", fmt.Errorf("select sentences as evidence: %w", err)
	}
	return strings.TrimSpace(quoted), nil
}

// evidence joins the quoted sentences of several notes. If they are too long for one merge,
// it selects among them.
func (w *documentWork) evidence(ctx context.Context, notes []note) (string, error) {
	var kept []string
	for _, n := range notes {
		if n.evidence != "" {
			kept = append(kept, n.evidence)
		}
	}
	all := strings.Join(kept, "\n\n")
	if all == "" || w.count.within(all, w.limits.evidence) {
		return all, nil
	}
	selected, err := w.quote(ctx, all, w.limits.evidence/2)
	return w.shorten(selected, w.limits.evidence), err
}

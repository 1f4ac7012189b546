package summarize

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/extractive"
)

// quotedWords is about how much of each chunk is kept word for word. Merging amplifies
// what models make up, and source sentences beside the notes are the best remedy known
// (Ou & Lapata, ACL Findings 2025.289).
const quotedWords = 60

// quote selects sentences of text, word for word.
func (j *job) quote(ctx context.Context, text string, words int) (string, error) {
	quoted, err := extractive.Summarize(ctx, j.doc.Title, text, words)
	if err != nil {
		return "", fmt.Errorf("select sentences as evidence: %w", err)
	}
	return strings.TrimSpace(quoted), nil
}

// evidence gathers the sentences kept of several notes, and selects among them where
// they are too many for one merge.
func (j *job) evidence(ctx context.Context, notes []note) (string, error) {
	var kept []string
	for _, n := range notes {
		if n.evidence != "" {
			kept = append(kept, n.evidence)
		}
	}
	all := strings.Join(kept, "\n\n")
	if all == "" || j.count.within(all, j.limits.evidence) {
		return all, nil
	}
	selected, err := j.quote(ctx, all, j.limits.evidence/2)
	return j.shorten(selected, j.limits.evidence), err
}

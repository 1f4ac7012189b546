package summarize

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/extractive"
)

// extractiveEngine is the extractive engine. It selects sentences and makes no calls.
type extractiveEngine struct{ words int }

// Summarize implements Engine.
func (e extractiveEngine) Summarize(ctx context.Context, _ Completer, d Document) (Summary, error) {
	text := strings.TrimSpace(cleanSource(d.Text))
	if text == "" {
		return Summary{}, ErrNoText
	}
	title := oneLine(d.Title, titleBytes)
	s, err := extractive.Summarize(ctx, title, text, e.words)
	if err != nil {
		return Summary{}, fmt.Errorf("select sentences: %w", err)
	}
	if s = strings.TrimSpace(s); s == "" {
		return Summary{}, &OutputError{Class: BadOutput, Message: "the document has no sentence that a summary can use"}
	}
	return Summary{Text: s, Model: Extractive, Chunks: 1}, nil
}

// Estimate implements [Engine]. It makes no calls.
func (extractiveEngine) Estimate(Document) (calls, tokensIn, tokensOutMax int) { return 0, 0, 0 }

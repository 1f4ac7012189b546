package summarize

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/extractive"
)

// extractor is the engine of the built-in model: it selects sentences and calls nothing.
type extractor struct{ words int }

// Summarize implements Engine.
func (e extractor) Summarize(ctx context.Context, _ Completer, d Document) (Summary, error) {
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
		return Summary{}, &OutputError{Class: BadOutput, Message: "no sentence of the document is fit for a summary"}
	}
	return Summary{Text: s, Model: Extractive, Chunks: 1}, nil
}

// Estimate implements Engine: nothing is called.
func (extractor) Estimate(Document) (calls, tokensIn, tokensOutMax int) { return 0, 0, 0 }

package summarize

import (
	"context"
	"strings"

	"github.com/gistmill/gistmill/internal/summarize/sentences"
)

// selectSentences takes the first sentences of text. It holds the place of package
// extractive until that is there.
func selectSentences(ctx context.Context, _, text string, words int) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	var out []string
	n := 0
	for _, s := range sentences.Split(text) {
		n += len(strings.Fields(s.Text))
		if n > words && len(out) > 0 {
			break
		}
		if !s.Heading {
			out = append(out, s.Text)
		}
	}
	return strings.Join(out, " "), nil
}

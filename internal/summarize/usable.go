package summarize

import (
	"strings"
	"unicode"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/summarize/lenient"
)

// usable returns what is wrong with a text that is a summary by its form only: it has no letters,
// it is far longer than its cap, or it is a placeholder, a schema or other JSON. limit is the cap
// on the answer in tokens; 0 is none.
func usable(text, document string, limit int) *problem {
	switch {
	case limit > 0 && len(text) > max(bytesPerToken*limit, leastBytes):
		return &problem{forModel: "its text is many times longer than asked for", forLedger: "the summary is many times longer than its cap", tooLong: true}
	case !strings.ContainsFunc(text, unicode.IsLetter) && strings.ContainsFunc(document, unicode.IsLetter):
		return &problem{forModel: "its text has no words", forLedger: "the summary has no letters"}
	case checks.IsPlaceholder(text, document) == checks.Certain:
		return &problem{forModel: "its text is a placeholder and no summary of the document", forLedger: "the summary is a placeholder"}
	case strings.HasPrefix(text, "{"):
		if found, whole := lenient.Objects(text); whole && len(found) > 0 && strings.HasSuffix(text, "}") {
			return &problem{forModel: "its text is JSON and no summary of the document", forLedger: "the summary is JSON"}
		}
	}
	return nil
}

// plainSummary returns the summary that a model wrote as a text where it was asked for JSON, for
// the second time. An answer with braces is none, and keeps its problem.
func (w *documentWork) plainSummary(r reply, p *problem) (string, *problem) {
	text := w.clean.clean(r.content)
	if text == "" || strings.ContainsAny(text, "{}") || strings.HasPrefix(text, "[") {
		return "", p
	}
	if p := w.declined(text); p != nil {
		return "", p
	}
	return text, usable(text, w.doc.Text, r.cap)
}

// declined returns the problem of a text in which the model declines, or says that it got no text.
func (w *documentWork) declined(text string) *problem {
	if checks.Refusal(text, w.doc.Text) == "" {
		return nil
	}
	return &problem{forModel: "it declines the task, which is to describe a text that is in the prompt", forLedger: "the model declined in words", class: Refused}
}

package summarize

import (
	"bytes"

	"github.com/gistmill/gistmill/internal/checks"
)

// check compares a summary with the document as the model got it. The length and language
// that a user's prompt or schema requests are not known, except for the language of the profile.
func (w *documentWork) check(s Summary) []checks.Finding {
	asked := checks.Asked{Language: w.profile.Language}
	if asked.Language == "" && w.profile.Prompt == "" {
		asked.Language = checks.SameLanguage
	}
	if w.profile.Prompt == "" && !w.schema.custom {
		asked.Words = w.profile.Words
	}
	texts := []string{s.Text}
	if v, err := parseOrdered(string(s.Output)); w.schema.custom && err == nil {
		texts = texts[:0]
		v.mapStrings(func(text string) string {
			if !w.schema.mentions(text) {
				texts = append(texts, text)
			}
			return text
		})
	}
	return checks.Check(checks.Document{Text: w.doc.Text, Around: []string{w.doc.Title, w.doc.URI}}, texts, asked)
}

// mentions reports whether the schema contains a value. Such labels are its words, not the
// document's.
func (s *answerSchema) mentions(value string) bool {
	var quoted bytes.Buffer
	writeScalar(&quoted, value)
	return bytes.Contains(s.raw, quoted.Bytes())
}

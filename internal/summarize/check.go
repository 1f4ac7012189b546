package summarize

import (
	"bytes"

	"github.com/gistmill/gistmill/internal/checks"
)

// check compares a summary with the document as the model was given it. What a prompt or a schema of the user's asks for in
// length and language is not known.
func (j *job) check(s Summary) []checks.Finding {
	asked := checks.Asked{Language: j.profile.Prompt == ""}
	if j.profile.Prompt == "" && !j.schema.custom {
		asked.Words = j.profile.Words
	}
	texts := []string{s.Text}
	if v, err := parseOrdered(string(s.Output)); j.schema.custom && err == nil {
		texts = texts[:0]
		v.mapStrings(func(text string) string {
			if !j.schema.names(text) {
				texts = append(texts, text)
			}
			return text
		})
	}
	return checks.Check(checks.Document{Text: j.doc.Text, Around: []string{j.doc.Title, j.doc.URI}}, texts, asked)
}

// names says whether a value is one that the schema offers: labels are its words, not the document's.
func (s *answerSchema) names(value string) bool {
	var quoted bytes.Buffer
	writeScalar(&quoted, value)
	return bytes.Contains(s.raw, quoted.Bytes())
}

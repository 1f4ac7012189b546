package summarize

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/internal/llm"
)

// Checks compare an answer with what the model got, as far as the request is known.
func TestFindings(t *testing.T) {
	t.Parallel()
	doc := Document{URI: "minutes-2024.txt", Title: "Minutes of 12 May", Text: strings.Repeat("The board met in the hall and agreed on the repair of the roof for 1,200 euros. ", 40)}
	german := "Der Vorstand hat sich im Saal getroffen und über das Dach gesprochen, und es ist nicht klar, was die Reparatur kostet und wer sie bezahlen wird."
	for name, c := range map[string]struct {
		prompt, schema, answer string
		want                   []string
	}{
		"faithful":          {"", "", `{"summary":"The board met on 12 May in the hall and agreed to repair the roof for 1,200 euros, as the minutes say in several places of the text."}`, nil},
		"wrong number":      {"", "", `{"summary":"The board met on 12 May in the hall and agreed to repair the roof for 1,300 euros, as the minutes say in several places of the text."}`, []string{"number 1,300"}},
		"too short":         {"", "", `{"summary":"The board met."}`, []string{"length 3 words"}},
		"other language":    {"", "", `{"summary":"` + strings.Repeat(german+" ", 3) + `"}`, []string{"language de"}},
		"as instructed":     {"Say it in one German sentence: {{.Text}}", "", `{"summary":"` + german + `"}`, nil},
		"object":            {"", `{"type":"object","properties":{"mood":{"enum":["VERY GOOD","BAD"]},"who":{"type":"array","items":{"type":"string"}}}}`, `{"mood":"VERY GOOD","who":["the board","the firm of Karl Stone"]}`, []string{"name Karl Stone"}},
		"address was given": {"On {{.URI}}: {{.Text}}", "", `{"summary":"The minutes of 2024."}`, nil},
		"and it was not":    {"On this: {{.Text}}", "", `{"summary":"The minutes of 2024."}`, []string{"number 2024"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := profile()
			p.Prompt, p.Schema, p.Words = c.prompt, json.RawMessage(c.schema), 40
			m := &scripted{answer: func(int, llm.Request) (llm.Response, error) { return llm.Response{Content: c.answer}, nil }}
			s, err := engine(t, p, m, 8192).Summarize(t.Context(), doc)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range s.Findings {
				got = append(got, string(f.Check)+" "+f.Found)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

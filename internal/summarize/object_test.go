package summarize

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/llm"
)

// scripts answers calls with texts, one after the other.
func replies(texts ...string) *scripted {
	return &scripted{answer: func(n int, _ llm.Request) (llm.Response, error) {
		return llm.Response{Content: texts[min(n, len(texts))-1], FinishReason: llm.FinishStop}, nil
	}}
}

// What can be read is not paid for twice.
func TestReadLeniently(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"trailing comma":            `{"summary": "Fine.",}`,
		"line break":                "{\"summary\": \"Fine.\n\"}",
		"single quotes":             `{'summary': 'Fine.'}`,
		"no quotes":                 `{summary: "Fine."}`,
		"braces in prose":           "The set {a, b} first. {\"summary\": \"Fine.\"} Shall I {go on}?",
		"several objects":           `Example: {"summary": "x"}. Mine: {"summary": "Fine."}`,
		"the last fits":             `{"title": "x"} {"summary": "Fine."}`,
		"the first fits":            `{"summary": "Fine."} {"note": "done"}`,
		"double encoding":           `"{\"summary\": \"Fine.\"}"`,
		"JSON in the summary":       `{"summary": "{\"summary\": \"Fine.\"}"}`,
		"JSON in a field":           `{"answer": "{\"summary\": \"Fine.\"}"}`,
		"a wrapper":                 `{"answer": {"summary": "Fine."}}`,
		"two wrappers":              `{"response": {"answer": {"summary": "Fine."}}}`,
		"a list of one":             `[{"summary": "Fine."}]`,
		"the schema's name":         `{"summary": {"summary": "Fine."}}`,
		"a call":                    `{"name": "summary", "arguments": {"summary": "Fine."}}`,
		"the schema, filled in":     `{"type": "object", "properties": {"summary": "Fine."}}`,
		"another field":             `{"summary": "Fine.", "confidence": 0.9}`,
		"capitals":                  `{"Summary": "Fine."}`,
		"thoughts without an end":   "I write {\"summary\": \"...\"} now.\n</think>\n{\"summary\": \"Fine.\"}",
		"thoughts of an old ledger": "<|channel|>analysis<|message|>{\"summary\":\"...\"}<|end|><|start|>assistant<|channel|>final<|message|>{\"summary\": \"Fine.\"}",
		"a quoted tag":              `{"summary": "Fine."}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := replies(answer)
			s, err := engine(t, profile(), m, 8192).Summarize(t.Context(), Document{Text: "A text."})
			if err != nil || s.Text != "Fine." || len(m.calls) != 1 {
				t.Errorf("%q %v, %d calls", s.Text, err, len(m.calls))
			}
		})
	}
}

// A schema of the user is read as leniently, but no field is dropped or invented.
func TestReadLenientlyBySchema(t *testing.T) {
	t.Parallel()
	p := profile()
	p.Schema = json.RawMessage(`{"type":"object","properties":{"title":{"type":"string"},"points":{"type":"array"},"meta":{"type":"object"}},"required":["title"],"additionalProperties":false}`)
	for answer, want := range map[string]string{
		`{"title": "x", "points": [1,],}`:                            `{"title":"x","points":[1]}`,
		`{"result": {"title": "x"}}`:                                 `{"title":"x"}`,
		`{"properties": {"title": "x"}, "type": "object"}`:           `{"title":"x"}`,
		`{"title": "x", "extra": 1}`:                                 "",
		`{"Title": "x"}`:                                             "",
		`{"title": 7, "meta": {"title": "x"}}`:                       "",
		`[{"title": "x"}, {"title": "y"}]`:                           "",
		`{"type":"object","properties":{"title":{"type":"string"}}}`: "",
		`{"title": "x", "points": [`:                                 "",
		`A plain text.`:                                              "",
	} {
		m := replies(answer)
		s, err := engine(t, p, m, 8192).Summarize(t.Context(), Document{Text: "A text."})
		if want == "" {
			var bad *OutputError
			if !errors.As(err, &bad) || bad.Class != BadOutput || len(m.calls) != 2 {
				t.Errorf("%s: %+v %v", answer, s, err)
			}
			continue
		}
		if err != nil || string(s.Output) != want || len(m.calls) != 1 {
			t.Errorf("%s: %s %v", answer, s.Output, err)
		}
	}
}

// An answer that has the form of a summary and none of its substance is asked again, then refused.
func TestNoSummary(t *testing.T) {
	t.Parallel()
	const document = "The harbour of Wexley was rebuilt in 1994. Ferries leave every 40 minutes."
	for name, tt := range map[string]struct{ answer, class string }{
		"dots":              {`{"summary": "..."}`, BadOutput},
		"numbers":           {`{"summary": "1, 2, 3"}`, BadOutput},
		"string":            {`{"summary": "string"}`, BadOutput},
		"in brackets":       {`{"summary": "<your summary here>"}`, BadOutput},
		"of the text":       {`{"summary": "Insert the summary of the text."}`, BadOutput},
		"German":            {`{"summary": "Hier steht die Zusammenfassung des Textes"}`, BadOutput},
		"the name":          {`{"summary": "summary"}`, BadOutput},
		"Chinese":           {`{"summary": "这里是摘要"}`, BadOutput},
		"lorem":             {`{"summary": "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore."}`, BadOutput},
		"the schema":        {builtinSchema, BadOutput},
		"the schema within": {`{"summary": "{\"type\": \"object\", \"properties\": {\"summary\": {\"type\": \"string\"}}}"}`, BadOutput},
		"filled with types": {`{"summary": {"type": "string"}}`, BadOutput},
		"far too long":      {`{"summary": "` + strings.Repeat("The harbour. ", 2000) + `"}`, BadOutput},
		"a cut object":      {`{"summary": "The harbour was rebu`, BadOutput},
		"a refusal":         {"I'm sorry, but I can't help with that.", Refused},
		"a refusal, zh":     {"抱歉，我无法回答这个问题。", Refused},
		"no text":           {"Please provide the text that you would like me to summarize.", Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := replies(tt.answer)
			s, err := engine(t, profile(), m, 8192).Summarize(t.Context(), Document{Text: document})
			var bad *OutputError
			if !errors.As(err, &bad) || bad.Class != tt.class || len(m.calls) != 2 {
				t.Fatalf("%q %v, %d calls", s.Text, err, len(m.calls))
			}
			if strings.Contains(bad.Message, "harbour") || len(bad.Requests) != 2 {
				t.Errorf("%+v", bad)
			}
			m = replies(tt.answer, `{"summary": "The harbour was rebuilt."}`)
			if s, err := engine(t, profile(), m, 8192).Summarize(t.Context(), Document{Text: document}); err != nil || s.Text != "The harbour was rebuilt." {
				t.Errorf("repaired: %q %v", s.Text, err)
			}
		})
	}
	// What a document says is no placeholder.
	if s, err := engine(t, profile(), replies(`{"summary": "A sample text."}`), 8192).Summarize(t.Context(), Document{Text: "A sample text."}); err != nil || s.Text != "A sample text." {
		t.Errorf("%q %v", s.Text, err)
	}
	// A number can be the answer to a schema of the user.
	p := profile()
	p.Schema = json.RawMessage(`{"type":"object","properties":{"score":{"type":"integer"}},"required":["score"]}`)
	if s, err := engine(t, p, replies(`{"score": 7}`), 8192).Summarize(t.Context(), Document{Text: document}); err != nil || string(s.Output) != `{"score":7}` {
		t.Errorf("%s %v", s.Output, err)
	}
	// A refusal in the form that was asked for is flagged, and so is what may be a placeholder.
	for _, text := range []string{"I'm sorry, but I can't help with that.", "A summary of the document."} {
		s, err := engine(t, profile(), replies(summaryObject(text)), 8192).Summarize(t.Context(), Document{Text: document})
		if err != nil || len(s.Findings) == 0 || s.Findings[0].Check != checks.Declined {
			t.Errorf("%+v %v", s.Findings, err)
		}
	}
}

// Notes are cleaned of thoughts, and a refusal is no note.
func TestNotesOfThinkers(t *testing.T) {
	t.Parallel()
	source := opticks(t)[:60_000]
	m := &scripted{answer: func(_ int, r llm.Request) (llm.Response, error) {
		if r.Schema != nil {
			return llm.Response{Content: `{"summary":"Fine."}`}, nil
		}
		return llm.Response{Content: "Okay, notes. Let me think.\n</think>\n\nLight is refracted.", FinishReason: llm.FinishStop}, nil
	}}
	if _, err := engine(t, profile(), m, 8192).Summarize(t.Context(), Document{Text: source}); err != nil {
		t.Fatal(err)
	}
	for _, r := range m.calls {
		if strings.Contains(r.Messages[len(r.Messages)-1].Content, "Let me think") {
			t.Fatal("thoughts are in a prompt")
		}
	}
	m = &scripted{answer: func(int, llm.Request) (llm.Response, error) {
		return llm.Response{Content: "I'm sorry, but I can't help with that.", FinishReason: llm.FinishStop}, nil
	}}
	_, err := engine(t, profile(), m, 8192, WithConcurrency(1)).Summarize(t.Context(), Document{Text: source})
	var bad *OutputError
	if !errors.As(err, &bad) || bad.Class != Refused || len(m.calls) != 2 {
		t.Errorf("%v, %d calls", err, len(m.calls))
	}
}

// An empty answer with thoughts names what to look at.
func TestEmptyWithThoughts(t *testing.T) {
	t.Parallel()
	m := &scripted{answer: func(int, llm.Request) (llm.Response, error) {
		return llm.Response{FinishReason: llm.FinishStop, Thoughts: 900}, nil
	}}
	_, err := engine(t, profile(), m, 8192).Summarize(t.Context(), Document{Text: "A text."})
	if err == nil || !strings.Contains(err.Error(), "reasoning parser") {
		t.Errorf("%v", err)
	}
}

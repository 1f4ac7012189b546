package llm

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	openai "github.com/sashabaranov/go-openai"
)

// TestBodyIsAsGoOpenAIEncodesIt compares a body with what go-openai alone encodes.
func TestBodyIsAsGoOpenAIEncodesIt(t *testing.T) {
	t.Parallel()
	texts := []string{"plain", "line\nend\ttab \"quoted\" \\ \x00 \x1f \x7f", "<b>&amp;</b>", "é 漢字 \u2028 \U0001f600", "not \xff UTF-8", `"messages":null`}
	schema := json.RawMessage("{ \"type\": \"object\",\n \"description\": \"<a> \\\"b\\\"\" }")
	formats := map[string]format{"strict": formatStrict, "loose": formatLoose, "object": formatObject, "prompt": formatPrompt}
	for name, f := range formats {
		for _, withSchema := range []bool{true, false} {
			for _, temperature := range []float64{0, 0.3} {
				r := Request{Model: `a "model"`, MaxOutputTokens: 400, Temperature: temperature}
				for _, text := range texts {
					r.Messages = append(r.Messages, Message{RoleUser, text})
				}
				if withSchema {
					r.Schema = schema
				}
				b := dialect{format: f, temperature: true}.body(r)
				got, err := b.encode()
				if err != nil {
					t.Fatal(err)
				}
				want := openai.ChatCompletionRequest{Model: b.Model, MaxTokens: b.MaxTokens, ResponseFormat: b.ResponseFormat, Temperature: *b.Temperature} //nolint:staticcheck // the name that most servers know
				for _, m := range b.Messages {
					want.Messages = append(want.Messages, openai.ChatCompletionMessage{Role: m.Role, Content: m.Content})
				}
				encoded, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				expected := decoded(t, encoded).(map[string]any)
				if temperature == 0 {
					expected["temperature"] = 0.0 // go-openai leaves it out
				}
				if diff := cmp.Diff(any(expected), decoded(t, got)); diff != "" {
					t.Errorf("%s, schema %t, temperature %v (- go-openai, + here):\n%s", name, withSchema, temperature, diff)
				}
			}
		}
	}
}

func TestInvalidSchemaIsNotSent(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	c := newClient(t, rec, Config{})
	r := testRequest("text")
	r.Schema = json.RawMessage(`{"type":`)
	_, err := c.Complete(t.Context(), r)
	if failed := wantError(t, err); failed.Class != BadRequest || failed.MayBeBilled || len(rec.bodies) != 0 || Sent(err) {
		t.Errorf("%d calls were made: %+v", len(rec.bodies), failed)
	}
}

// TestExtraMembers: members of the user are added, and replace those of ours.
func TestExtraMembers(t *testing.T) {
	t.Parallel()
	r := testRequest("text")
	r.Extra = json.RawMessage(`{"chat_template_kwargs":{"enable_thinking":false},"temperature":0.6}`)
	encoded, err := newDialect(r, nil, "h").body(r).encode()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := decoded(t, encoded).(map[string]any)
	if got["temperature"] != 0.6 || got["model"] != r.Model || got["chat_template_kwargs"].(map[string]any)["enable_thinking"] != false {
		t.Errorf("%s", encoded)
	}
}

func decoded(t *testing.T, body []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

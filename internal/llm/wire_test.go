package llm

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	openai "github.com/sashabaranov/go-openai"
)

// What is written by hand says what go-openai would have said.
func TestBodyIsAsGoOpenAIEncodesIt(t *testing.T) {
	t.Parallel()
	texts := []string{"plain", "line\nend\ttab \"quoted\" \\ \x00 \x1f \x7f", "<b>&amp;</b>", "é 漢字 \u2028 \U0001f600", "not \xff UTF-8", `"messages":null`}
	schema := json.RawMessage("{ \"type\": \"object\",\n \"description\": \"<a> \\\"b\\\"\" }")
	formats := map[string]format{"strict": formatStrict, "loose": formatLoose, "object": formatObject, "prompt": formatPrompt}
	for name, f := range formats {
		for _, withSchema := range []bool{true, false} {
			r := Request{Model: `a "model"`, MaxOutputTokens: 400}
			for _, text := range texts {
				r.Messages = append(r.Messages, Message{RoleUser, text})
			}
			if withSchema {
				r.Schema = schema
			}
			whole, _ := dialect{format: f}.wire(r)
			want, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			ex := exchange{messages: whole.Messages, format: whole.ResponseFormat}
			if diff := cmp.Diff(decoded(t, want), decoded(t, ex.written(t, whole))); diff != "" {
				t.Errorf("%s, schema %t (- go-openai, + here):\n%s", name, withSchema, diff)
			}
		}
	}
}

func TestInvalidSchemaIsNotSent(t *testing.T) {
	t.Parallel()
	whole, _ := dialect{format: formatStrict}.wire(Request{Schema: json.RawMessage(`{"type":`)})
	ex := exchange{messages: whole.Messages, format: whole.ResponseFormat}
	if err := ex.writeBody(left(t, whole)); err == nil {
		t.Error("no error")
	}
}

// left is the request as it comes from go-openai, without what is left out.
func left(t *testing.T, whole openai.ChatCompletionRequest) *http.Request {
	t.Helper()
	whole.Messages, whole.ResponseFormat = nil, nil
	body, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{Body: io.NopCloser(bytes.NewReader(body))}
}

func (ex *exchange) written(t *testing.T, whole openai.ChatCompletionRequest) []byte {
	t.Helper()
	req := left(t, whole)
	if err := ex.writeBody(req); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(body)) != req.ContentLength {
		t.Errorf("%d bytes are announced, %d written", req.ContentLength, len(body))
	}
	again, err := req.GetBody()
	if err != nil {
		t.Fatal(err)
	}
	if copied, err := io.ReadAll(again); err != nil || !bytes.Equal(copied, body) {
		t.Errorf("a second reading differs: %v", err)
	}
	return body
}

func decoded(t *testing.T, body []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

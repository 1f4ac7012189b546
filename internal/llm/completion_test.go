package llm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	openai "github.com/sashabaranov/go-openai"
)

// TestCompletionIsAsGoOpenAIDecodesIt: the fields that are used have the values that go-openai
// would read, also from careless servers.
func TestCompletionIsAsGoOpenAIDecodesIt(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		goodAnswer,
		goodAnswer + "\n\ndata: [DONE]",
		`{}`,
		`{"choices":null,"usage":null,"model":null}`,
		`{"choices":[{"message":{"content":null,"refusal":"no","tool_calls":[{"id":"x"}]},"finish_reason":null}],"usage":{"prompt_tokens":3,"prompt_tokens_details":null}}`,
		`{"choices":[{"message":{"content":"a","content":"b \ud83d\ude00 \ud800 \u00e9"},"finish_reason":"length"},{}],"unknown":{"choices":[]}}`,
		"{\"choices\":[{\"message\":{\"content\":\"not \xff UTF-8\"}}]}",
	} {
		var want openai.ChatCompletionResponse
		if err := json.NewDecoder(strings.NewReader(body)).Decode(&want); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got, err := parseCompletion([]byte(body))
		if err != nil || got.Model != want.Model || len(got.Choices) != len(want.Choices) || got.Usage.Prompt != want.Usage.PromptTokens || got.Usage.Completion != want.Usage.CompletionTokens {
			t.Fatalf("%s: %+v %v", body, got, err)
		}
		if d := want.Usage.PromptTokensDetails; d != nil && got.Usage.Details.Cached != d.CachedTokens {
			t.Errorf("%s: %+v", body, got.Usage)
		}
		for i, c := range got.Choices {
			w := want.Choices[i]
			if diff := cmp.Diff([]string{string(w.FinishReason), w.Message.Content, w.Message.Refusal}, []string{c.FinishReason, string(c.Message.Content), c.Message.Refusal}); diff != "" {
				t.Errorf("%s (- go-openai, + here):\n%s", body, diff)
			}
		}
	}
}

// TestAnswerInParts: an answer can be a list of parts. The reasoning is not part of the text.
func TestAnswerInParts(t *testing.T) {
	t.Parallel()
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, `{"model":"m","choices":[{"finish_reason":"stop","message":{"content":[
			{"type":"thinking","thinking":[{"type":"text","text":"Let me see."}]},{"type":"text","text":"It is "},{"type":"text","text":"fine."}]}}],
			"usage":{"prompt_tokens":7,"completion_tokens":5}}`)
	}), Config{})
	got, err := c.Complete(t.Context(), testRequest("text"))
	if err != nil || got.Content != "It is fine." || got.Usage.In != 7 || got.Usage.Out != 5 {
		t.Errorf("%+v %v", got, err)
	}
}

// TestAnswerOfAnotherShape: a body that is no completion is no answer, and may have been paid
// for.
func TestAnswerOfAnotherShape(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"choices":[{"message":{"content":[{"type":"text","text":7}]}}]}`,
		`{"choices":[{"message":{"content":"fine"}}],"usage":{"prompt_tokens_details":{"cache_write_tokens":"many"}}}`,
		`{"choices":[{"message":{"content":"fi`,
	} {
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, body) }), Config{})
		_, err := c.Complete(t.Context(), testRequest("text"))
		if failed := wantError(t, err); failed.Class != Transient || !failed.MayBeBilled {
			t.Errorf("%s: %+v", body, failed)
		}
	}
}

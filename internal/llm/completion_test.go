package llm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"

	"github.com/gistmill/gistmill/internal/llm/completion"
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
		got, err := completion.Parse([]byte(body))
		if err != nil || got.Model != want.Model || got.Answered != (len(want.Choices) > 0) || got.Usage.Prompt != want.Usage.PromptTokens || got.Usage.Completion != want.Usage.CompletionTokens {
			t.Fatalf("%s: %+v %v", body, got, err)
		}
		if d := want.Usage.PromptTokensDetails; d != nil && got.Usage.Cached != d.CachedTokens {
			t.Errorf("%s: %+v", body, got.Usage)
		}
		if got.Answered {
			if w := want.Choices[0]; got.Finish != string(w.FinishReason) || got.Text != w.Message.Content || got.Refusal != w.Message.Refusal {
				t.Errorf("%s: %+v, go-openai: %+v", body, got, w)
			}
		}
	}
}

// answeredBy returns what a call gets from an endpoint that always sends one body.
func answeredBy(t *testing.T, r Request, header map[string]string, body string) (Response, error) {
	t.Helper()
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		reply(w, http.StatusOK, body)
	}), Config{})
	return c.Complete(t.Context(), r)
}

// TestAnswerInParts: an answer can be a list of parts. The reasoning is not part of the text.
func TestAnswerInParts(t *testing.T) {
	t.Parallel()
	got, err := answeredBy(t, testRequest("text"), nil, `{"model":"m","choices":[{"finish_reason":"stop","message":{"content":[
		{"type":"thinking","thinking":[{"type":"text","text":"Let me see."}]},{"type":"text","text":"It is "},{"type":"text","text":"fine."}]}}],
		"usage":{"prompt_tokens":7,"completion_tokens":5}}`)
	if err != nil || got.Content != "It is fine." || got.Usage.In != 7 || got.Usage.Out != 5 || got.Thoughts != len("Let me see.") {
		t.Errorf("%+v %v", got, err)
	}
}

// TestAnswerThatBrokeOff: half an answer is none, and may have been paid for.
func TestAnswerThatBrokeOff(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"choices":[{"message":{"content":"fi`,
		"data: {\"choices\":[{\"delta\":{\"content\":\"fi\"}}]}\n\n",
	} {
		_, err := answeredBy(t, testRequest("text"), nil, body)
		if failed := wantError(t, err); failed.Class != Transient || failed.Code != "truncated" || !failed.MayBeBilled {
			t.Errorf("%s: %+v", body, failed)
		}
	}
}

// TestEndOfAnAnswer: only known words end an answer.
func TestEndOfAnAnswer(t *testing.T) {
	t.Parallel()
	prose, structured := testRequest("text"), testRequest("text")
	structured.Schema = testSchema
	const half, whole = `The harbour was rebuilt in 19`, `{"summary":"Fine."}`
	for _, tt := range []struct {
		name    string
		request Request
		reason  string // JSON
		content string
		class   Class
		finish  string
	}{
		{"stop", prose, `"stop"`, half, "", FinishStop},
		{"null", prose, `null`, half, "", FinishStop},
		{"end_turn", structured, `"end_turn"`, whole, "", FinishStop},
		{"length", prose, `"length"`, half, "", FinishLength},
		{"max_tokens", prose, `"max_tokens"`, half, "", FinishLength},
		{"FinishReason.MAX_TOKENS", structured, `"FinishReason.MAX_TOKENS"`, half, "", FinishLength},
		{"a full window", structured, `"model_context_window_exceeded"`, half, ContextLength, ""},
		{"abort", prose, `"abort"`, half, Transient, ""},
		{"abort with JSON", structured, `"abort"`, whole, Transient, ""},
		{"lack of resources", prose, `"insufficient_system_resource"`, half, Transient, ""},
		{"unknown word", prose, `"qwertz"`, half, Transient, ""},
		{"unknown word, half a JSON", structured, `"qwertz"`, `{"summary":"Fi`, Transient, ""},
		{"unknown word, whole JSON", structured, `"qwertz"`, whole, "", FinishStop},
		{"Gemini's filter", prose, `"content_filter: PROHIBITED_CONTENT"`, "", Refused, ""},
		{"Gemini's safety", structured, `"SAFETY"`, "", Refused, ""},
		{"Zhipu's filter", structured, `"sensitive"`, whole, Refused, ""},
		{"Bedrock's guardrail", structured, `"guardrail_intervened"`, whole, Refused, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			content, _ := json.Marshal(tt.content)
			got, err := answeredBy(t, tt.request, nil, `{"choices":[{"message":{"content":`+string(content)+`},"finish_reason":`+tt.reason+`}],"usage":{"prompt_tokens":7,"completion_tokens":5}}`)
			if tt.class == "" {
				if err != nil || got.FinishReason != tt.finish || got.Content != tt.content {
					t.Errorf("%+v %v", got, err)
				}
				return
			}
			if failed := wantError(t, err); failed.Class != tt.class || failed.Usage.In != 7 || failed.MayBeBilled || failed.outage() {
				t.Errorf("%+v", failed)
			}
		})
	}
}

// TestErrorHalfway: an error beside an answer fails the call, with the endpoint's words and usage.
func TestErrorHalfway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		class      Class
	}{
		{"choice", `{"choices":[{"message":{"content":""},"finish_reason":null,"error":{"code":502,"message":"Upstream error"}}],"usage":{"prompt_tokens":7}}`, Transient},
		{"stream", "data: {\"choices\":[{\"delta\":{\"content\":\"ha\"}}],\"usage\":{\"prompt_tokens\":7}}\n\ndata: {\"error\":{\"code\":502,\"message\":\"Upstream error\"}}\n\n", Transient},
		{"filter", `{"choices":[{"message":{"content":"ha"},"finish_reason":"error","error":{"code":"content_filter","message":"Upstream error"}}],"usage":{"prompt_tokens":7}}`, Refused},
	} {
		_, err := answeredBy(t, testRequest("text"), nil, tt.body)
		if failed := wantError(t, err); failed.Class != tt.class || failed.Usage.In != 7 || failed.MayBeBilled || failed.outage() || !strings.Contains(failed.Message, "Upstream error") {
			t.Errorf("%s: %+v", tt.name, failed)
		}
	}
}

// TestThoughtsAreNoAnswer: neither thoughts in the text nor beside it are the answer, unless the
// object that was asked for is nowhere else.
func TestThoughtsAreNoAnswer(t *testing.T) {
	t.Parallel()
	structured := testRequest("text")
	structured.Schema = json.RawMessage(`{"type":"object","required":["summary"]}`)
	for _, tt := range []struct {
		name    string
		request Request
		message string
		want    string
	}{
		{"in the text", structured, `{"content":"<think>hm</think>\n{\"summary\":\"Fine.\"}"}`, `{"summary":"Fine."}`},
		{"fenced after thoughts", structured, "{\"content\":\"hm\\n</think>\\n```json\\n{\\\"summary\\\":\\\"Fine.\\\"}\\n```\"}", `{"summary":"Fine."}`},
		{"of notes", testRequest("text"), `{"content":"hm\n</think>\nFine."}`, "Fine."},
		{"only thoughts", testRequest("text"), `{"content":"","reasoning":"hm"}`, ""},
		{"notes stay empty", testRequest("text"), `{"content":null,"reasoning_content":"Fine."}`, ""},
		{"the object is in reasoning_content", structured, `{"content":null,"reasoning_content":"{\"summary\":\"Fine.\"}"}`, `{"summary":"Fine."}`},
		{"the object ends reasoning", structured, `{"content":"","reasoning":"I try {\"summary\":\"x\"}. Better:\n{\"summary\":\"Fine.\"}"}`, `{"summary":"Fine."}`},
		{"another object ends reasoning", structured, `{"content":"","reasoning":"I need {\"title\":\"x\"}"}`, ""},
		{"the thoughts do not end", structured, `{"content":"<think>I need {\"summary\":\"x\"} now"}`, ""},
	} {
		got, err := answeredBy(t, tt.request, nil, `{"choices":[{"message":`+tt.message+`,"finish_reason":"stop"}]}`)
		if err != nil || got.Content != tt.want {
			t.Errorf("%s: %+v %v", tt.name, got, err)
		}
	}
}

// TestCompressedUnasked: a compression that is not read halts the run, because every answer is
// paid for and lost.
func TestCompressedUnasked(t *testing.T) {
	t.Parallel()
	_, err := answeredBy(t, testRequest("text"), map[string]string{"Content-Encoding": "br"}, "\x0b\x02\x80{}")
	if failed := wantError(t, err); failed.Class != Halted || !strings.Contains(failed.Message, "br") {
		t.Errorf("%+v", failed)
	}
}

// TestBlockedPrompt: a prompt that was read and not answered costs what the endpoint reports, and
// says nothing about the endpoint's health.
func TestBlockedPrompt(t *testing.T) {
	t.Parallel()
	_, err := answeredBy(t, testRequest("text"), nil, `{"object":"chat.completion","model":"m","usage":{"completion_tokens":0,"prompt_tokens":300,"total_tokens":300}}`)
	failed := wantError(t, err)
	if failed.Class != Transient || failed.Code != codeNoAnswer || failed.Usage.In != 300 || failed.MayBeBilled || failed.outage() {
		t.Errorf("%+v", failed)
	}
}

// TestWhiteSpaceToTheCap: the next request is written without the endpoint's structured output.
func TestWhiteSpaceToTheCap(t *testing.T) {
	t.Parallel()
	for _, content := range []string{strings.Repeat("\n", 40), "{" + strings.Repeat(" \n", 200), `{"summary":` + strings.Repeat("\t", 400)} {
		var formats []bool
		c := newClient(t, &recorder{answer: func(_ int, b body, w http.ResponseWriter) {
			formats = append(formats, b["response_format"] != nil)
			if b["response_format"] == nil {
				reply(w, http.StatusOK, goodAnswer)
				return
			}
			text, _ := json.Marshal(content)
			reply(w, http.StatusOK, `{"choices":[{"message":{"content":`+string(text)+`},"finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":400}}`)
		}}, Config{})
		r := testRequest("text")
		r.Schema = testSchema
		_, err := c.Complete(t.Context(), r)
		if failed := wantError(t, err); failed.Class != Transient || failed.Code != codeWhiteSpace || failed.Usage.Out != 400 || failed.outage() {
			t.Errorf("%+v", failed)
		}
		if got, err := c.Complete(t.Context(), r); err != nil || got.Content != "fine" || len(formats) != 2 || formats[1] {
			t.Errorf("%+v %v, formats %v", got, err, formats)
		}
	}
	// A model that thought up to the cap did not fail at the format.
	r := testRequest("text")
	r.Schema = testSchema
	for _, message := range []string{`{"content":"\n\n"}`, `{"content":"                                ","reasoning_content":"hm"}`} {
		if got, err := answeredBy(t, r, nil, `{"choices":[{"message":`+message+`,"finish_reason":"length"}]}`); err != nil || got.FinishReason != FinishLength {
			t.Errorf("%s: %+v %v", message, got, err)
		}
	}
	cut, err := answeredBy(t, testRequest("text"), nil, `{"choices":[{"message":{"content":"  "},"finish_reason":"length"}]}`)
	if err != nil || cut.FinishReason != FinishLength {
		t.Errorf("notes: %+v %v", cut, err)
	}
}

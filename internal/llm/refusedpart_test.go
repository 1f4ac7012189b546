package llm

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/internal/llm/traits"
)

// TestRefusedParts: a refusal that names a part of the request leads to a request without it, in
// whatever words, with whatever status, and is remembered.
func TestRefusedParts(t *testing.T) {
	t.Parallel()
	has := func(member string) func(body) bool { return func(b body) bool { return b[member] != nil } }
	system := func(b body) bool {
		for _, m := range b["messages"].([]any) {
			if m.(map[string]any)["role"] == "system" {
				return true
			}
		}
		return false
	}
	formatIs := func(kinds ...string) func(body) bool {
		return func(b body) bool {
			f, _ := b["response_format"].(map[string]any)
			kind, _ := f["type"].(string)
			return slices.Contains(kinds, kind)
		}
	}
	structured := func(r *Request) { r.Schema = testSchema }
	plain := func(*Request) {}
	openaiError := func(message string) string {
		b, _ := json.Marshal(map[string]any{"error": map[string]any{"message": message}})
		return string(b)
	}
	for _, tt := range []struct {
		name   string
		set    func(*Request)
		status int
		body   string
		bad    func(body) bool // what the endpoint refuses
		calls  int             // of the first answer
	}{
		{"temperature, only one value", plain, 400, openaiError("invalid temperature: only 1 is allowed for this model"), has("temperature"), 2},
		{"temperature, other value", plain, 400, openaiError("invalid temperature: only 0.6 is allowed for this model"), has("temperature"), 2},
		{"temperature must be", plain, 422, openaiError("Temperature must be 1 when thinking is enabled"), has("temperature"), 2},
		{"temperature, LiteLLM", plain, 400, openaiError("litellm.UnsupportedParamsError: azure does not support parameters: ['temperature'], for model=gpt-5"), has("temperature"), 2},
		{"temperature and top_p", plain, 400, openaiError("`temperature` and `top_p` cannot both be specified for this model"), has("temperature"), 2},
		{"temperature, 500", plain, 500, openaiError("TypeError: generate() got an unexpected keyword argument 'temperature'"), has("temperature"), 2},
		{"system, Gemini", plain, 400, `[{"error":{"code":400,"message":"Developer instruction is not enabled for models/gemma-3-27b-it","status":"INVALID_ARGUMENT"}}]`, system, 2},
		{"system, chat template", plain, 400, openaiError("System role not supported"), system, 2},
		{"system, Mistral's template", plain, 400, openaiError("Conversation roles must alternate user/assistant/user/assistant/..."), system, 2},
		{"system, only two roles", plain, 400, openaiError("Only user and assistant roles are supported!"), system, 2},
		{"system, 500 of a template", plain, 500, openaiError("jinja2.exceptions.TemplateError: System role not supported"), system, 2},
		{"system, FastAPI", plain, 422, `{"detail":[{"type":"literal_error","loc":["body","messages",0,"role"],"msg":"Input should be 'user' or 'assistant'","input":"system"}]}`, system, 2},
		{"o1-mini", plain, 400, openaiError("Unsupported value: 'messages[0].role' does not support 'system' with this model."), system, 2},
		{"schema, DeepSeek", structured, 400, openaiError("This response_format type is unavailable now"), formatIs("json_schema"), 2},
		{"schema, 500 of a grammar", structured, 500, openaiError("Failed to parse grammar"), formatIs("json_schema"), 2},
		{"schema, Gemini's words", structured, 400, openaiError("JSON mode is not enabled for models/gemma-3-27b-it"), formatIs("json_schema", "json_object"), 3},
		{"schema, 501", structured, 501, openaiError("response_format json_schema: not implemented"), formatIs("json_schema"), 2},
		{"effort", func(r *Request) { r.Model = "gpt-5-pro" }, 400, openaiError("Unsupported value: 'reasoning_effort' does not support 'low' with this model. Supported values are: 'high'."), has("reasoning_effort"), 2},
		{"effort of the user", func(r *Request) { r.Effort = "minimal" }, 400, openaiError("invalid think value: \"minimal\" (reasoning_effort must be high, medium, low or none)"), has("reasoning_effort"), 2},
		{"completion cap, old Azure", func(r *Request) { r.Model = "o4-mini" }, 400, openaiError("Unrecognized request argument supplied: max_completion_tokens"), has("max_completion_tokens"), 2},
		{"completion cap, Mistral", func(r *Request) { r.Model = "gpt-5-mini" }, 422, `{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}`, has("max_completion_tokens"), 2},
		{"thinking without a stream", plain, 400, openaiError("parameter.enable_thinking must be set to false for non-streaming calls"), func(b body) bool { return b["enable_thinking"] != false }, 2},
		{"only a stream", plain, 400, openaiError("This model only support stream mode, please enable the stream parameter to access the model."), func(b body) bool { return b["stream"] != true }, 2},
		{"stream must be true", plain, 400, openaiError("Stream must be set to true"), func(b body) bool { return b["stream"] != true }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{answer: func(_ int, b body, w http.ResponseWriter) {
				if tt.bad(b) {
					reply(w, tt.status, tt.body)
					return
				}
				reply(w, 200, goodAnswer)
			}}
			book := traits.NewBook(nil, nil)
			c := newClient(t, rec, Config{Traits: book})
			r := testRequest("text")
			r.Messages = []Message{{RoleSystem, "Summarize."}, {RoleUser, "A document about the temperature."}}
			tt.set(&r)
			if _, err := c.Complete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if len(rec.bodies) != tt.calls {
				t.Errorf("%d calls until the answer, want %d", len(rec.bodies), tt.calls)
			}
			rec.bodies = nil
			if _, err := c.Complete(t.Context(), r); err != nil || len(rec.bodies) != 1 {
				t.Errorf("%d calls for the second answer: %v", len(rec.bodies), err)
			}
			if parts := book.Of(c.base, r.Model).Known().Refused; len(parts) == 0 {
				t.Error("nothing is kept for the next process")
			}
		})
	}
}

// TestMostOutput: a cap that is larger than the model can give is lowered to what the refusal
// names, and stays there.
func TestMostOutput(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		"max_tokens is too large: 2048. This model supports at most 1024 completion tokens, whereas you provided 2048.",
		"max_tokens: 2048 > 1024, which is the maximum allowed number of output tokens for claude-3-5-sonnet",
		"Invalid max_tokens value, the valid range of max_tokens is [1, 1024]",
		"`max_tokens` must be less than or equal to `1,024`, the maximum value for `max_tokens` is less than the `context_window` for this model",
		"Unable to submit request because it has a maxOutputTokens value of 2048 but the supported range is from 1 (inclusive) to 1025 (exclusive). max_tokens",
	} {
		rec := &recorder{answer: func(_ int, b body, w http.ResponseWriter) {
			if b["max_tokens"].(float64) > 1024 {
				encoded, _ := json.Marshal(map[string]any{"error": map[string]any{"message": message}})
				reply(w, 400, string(encoded))
				return
			}
			reply(w, 200, goodAnswer)
		}}
		c := newClient(t, rec, Config{})
		r := testRequest("text")
		r.MaxOutputTokens = 2048
		for range 2 {
			if _, err := c.Complete(t.Context(), r); err != nil {
				t.Errorf("%s: %v", message, err)
			}
		}
		if len(rec.bodies) != 3 || rec.bodies[2]["max_tokens"] != 1024.0 {
			t.Errorf("%s: %d calls, the last with %v", message, len(rec.bodies), rec.bodies[len(rec.bodies)-1]["max_tokens"])
		}
	}
}

// TestRefusedSettingOfTheUser: what the user set is not left out in silence.
func TestRefusedSettingOfTheUser(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		set           func(*Request)
		message, want string
	}{
		{func(r *Request) { r.Temperature = 1.9 }, "temperature must be between 0 and 1", "--temperature"},
		{func(r *Request) { r.Extra = json.RawMessage(`{"top_k":5}`) }, "Unknown parameter: 'top_k'.", "--request-extra"},
	} {
		rec := &recorder{answer: func(_ int, _ body, w http.ResponseWriter) {
			encoded, _ := json.Marshal(map[string]any{"error": map[string]any{"message": tt.message}})
			reply(w, 400, string(encoded))
		}}
		c := newClient(t, rec, Config{})
		r := testRequest("text")
		tt.set(&r)
		_, err := c.Complete(t.Context(), r)
		if failed := wantError(t, err); failed.Class != Halted || !strings.Contains(failed.Message, tt.want) || len(rec.bodies) != 1 {
			t.Errorf("%d calls: %+v", len(rec.bodies), failed)
		}
	}
}

// TestRefusalsInFlight: at most one refused call for each call in flight at the first refusal, and
// none later.
func TestRefusalsInFlight(t *testing.T) {
	t.Parallel()
	const calls = 16
	var mu sync.Mutex
	refused := 0
	rec := &recorder{answer: func(_ int, b body, w http.ResponseWriter) {
		if b["temperature"] != nil {
			mu.Lock()
			refused++
			mu.Unlock()
			reply(w, 400, `{"error":{"message":"invalid temperature: only 1 is allowed"}}`)
			return
		}
		reply(w, 200, goodAnswer)
	}}
	c := newClient(t, rec, Config{})
	for range 2 {
		var all sync.WaitGroup
		for range calls {
			all.Go(func() {
				if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if refused > calls {
		t.Errorf("%d refused calls for %d in flight", refused, calls)
	}
}

// TestEffortForms: each endpoint gets the effort in its own words.
func TestEffortForms(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"api.openai.com":                    `{"reasoning_effort":"none"}`,
		"openrouter.ai":                     `{"reasoning":{"effort":"none"}}`,
		"api.z.ai":                          `{"thinking":{"type":"disabled"}}`,
		"api.deepseek.com":                  `{"thinking":{"type":"disabled"}}`,
		"dashscope-intl.aliyuncs.com":       `{"enable_thinking":false}`,
		"generativelanguage.googleapis.com": `{"reasoning_effort":"none"}`,
	} {
		r := testRequest("text")
		r.Effort = "none"
		encoded, err := newDialect(r, nil, host).body(r).encode()
		if err != nil {
			t.Fatal(err)
		}
		got := decoded(t, encoded).(map[string]any)
		for name, value := range decoded(t, []byte(want)).(map[string]any) {
			a, _ := json.Marshal(got[name])
			b, _ := json.Marshal(value)
			if string(a) != string(b) {
				t.Errorf("%s: %s is %s, want %s", host, name, a, b)
			}
		}
	}
}

package llm

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/llm/providererror"
)

// TestErrorTable covers every class, with the wordings of known endpoints.
func TestErrorTable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		header map[string]string
		body   string
		class  Class
		code   string
		after  time.Duration
		says   string // part of the message
	}{
		// rate limits
		{name: "429 OpenAI, time in the message", status: 429, class: RateLimited, code: "rate_limit_exceeded", after: 644 * time.Millisecond,
			body: `{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29937, Requested 385. Please try again in 644ms.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`},
		{name: "429 Retry-After in seconds", status: 429, header: map[string]string{"Retry-After": "7"}, class: RateLimited, after: 7 * time.Second, body: `{"error":{"message":"slow down"}}`},
		{name: "429 retry-after-ms goes first", status: 429, header: map[string]string{"Retry-After": "1", "retry-after-ms": "250"}, class: RateLimited, after: 250 * time.Millisecond, body: `{}`},
		{name: "429 Retry-After as a date", status: 429, header: map[string]string{"Date": "Mon, 02 Mar 2026 10:00:00 GMT", "Retry-After": "Mon, 02 Mar 2026 10:00:20 GMT"}, class: RateLimited, after: 20 * time.Second, body: ``},
		{name: "429 reset header", status: 429, header: map[string]string{"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m12s", "x-ratelimit-remaining-tokens": "9000", "x-ratelimit-reset-tokens": "6h"}, class: RateLimited, after: 72 * time.Second, body: `{"error":"too many"}`},
		{name: "429 Azure", status: 429, class: RateLimited, code: "429", after: 33 * time.Second,
			body: `{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-15-preview have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 33 seconds."}}`},
		{name: "429 without anything", status: 429, class: RateLimited, body: ``, says: "rate limit"},
		{name: "429 Gemini, which speaks of quota", status: 429, class: RateLimited, code: "429", after: 12300 * time.Millisecond,
			body: `[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 12.3s.","status":"RESOURCE_EXHAUSTED"}}]`},
		{name: "503 slow_down", status: 503, class: RateLimited, code: "slow_down", body: `{"error":{"message":"Slow down","type":"rate_limit_error","code":"slow_down"}}`},
		{name: "503 Ollama's queue is full", status: 503, class: RateLimited, body: `{"error":{"message":"server busy, please try again.  maximum pending requests exceeded","type":"api_error"}}`},
		{name: "200 with a rate limit in it", status: 200, class: RateLimited, code: "rate_limit_exceeded", body: `{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}`},
		{name: "200 with code 429, OpenRouter", status: 200, class: RateLimited, code: "429", body: `{"error":{"code":429,"message":"Provider returned error"}}`},

		// no retry helps
		{name: "429 no credit", status: 429, class: Halted, code: "insufficient_quota", says: "no credit",
			body: `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`},
		{name: "429 credit balance exhausted", status: 429, class: Halted, body: `{"error":{"message":"x","code":"credit_balance_exhausted"}}`},
		{name: "402", status: 402, class: Halted, says: "no credit", body: `{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}`},
		{name: "400 Anthropic without credit", status: 400, class: Halted, says: "no credit", body: `{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`},
		{name: "200 with insufficient_quota", status: 200, class: Halted, body: `{"error":{"message":"quota","code":"insufficient_quota"}}`},
		{name: "401", status: 401, class: Halted, code: "invalid_api_key", says: "check OPENAI_API_KEY", body: `{"error":{"message":"Incorrect API key provided: sk-fake***.","type":"invalid_request_error","code":"invalid_api_key"}}`},
		{name: "401 HTML", status: 401, header: map[string]string{"Content-Type": "text/html"}, class: Halted, says: "OPENAI_API_KEY", body: `<html>no</html>`},
		{name: "400 Gemini's bad key", status: 400, class: Halted, says: "OPENAI_API_KEY", body: `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`},
		{name: "403", status: 403, class: Halted, says: "forbids", body: `{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported"}}`},
		{name: "407", status: 407, class: Halted, says: "HTTPS_PROXY", body: ``},
		{name: "404 OpenAI's unknown model", status: 404, class: Halted, code: "model_not_found", says: "check --model", body: `{"error":{"message":"The model 'x' does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}`},
		{name: "404 Ollama's", status: 404, class: Halted, says: "check --model", body: `{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error","param":null,"code":null}}`},
		{name: "404 vLLM's", status: 404, class: Halted, says: "check --model", body: `{"object":"error","message":"The model 'x' does not exist.","type":"NotFoundError","param":null,"code":404}`},
		{name: "404 Azure's", status: 404, class: Halted, code: "DeploymentNotFound", says: "check --model", body: `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}`},
		{name: "422 Scaleway's", status: 422, class: Halted, says: "check --model", body: `{"error":"Model Not Found","status":422,"message":"Model Not Found"}`},
		{name: "404 of a wrong URL", status: 404, class: Halted, says: "check --base-url", body: `404 page not found`},
		{name: "405", status: 405, class: Halted, says: "check --base-url", body: ``},
		{name: "301", status: 301, header: map[string]string{"Location": "https://elsewhere/"}, class: Halted, says: "has moved", body: ``},

		// context
		{name: "context, OpenAI and Azure", status: 400, class: ContextLength, code: "context_length_exceeded",
			body: `{"error":{"message":"This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`},
		{name: "context, vLLM before 0.10", status: 400, class: ContextLength,
			body: `{"object":"error","message":"This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","param":null,"code":400}`},
		{name: "context, vLLM negative max_tokens", status: 400, class: ContextLength, body: `{"object":"error","message":"max_tokens must be at least 1, got -186.","type":"BadRequestError","param":null,"code":400}`},
		{name: "context, llama.cpp", status: 400, class: ContextLength, code: "400",
			body: `{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":4390,"n_ctx":4096}}`},
		{name: "context, llama.cpp as 500", status: 500, class: ContextLength, body: `{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}`},
		{name: "context, Ollama", status: 400, class: ContextLength, body: `{"error":{"message":"input length exceeds maximum context length","type":"invalid_request_error"}}`},
		{name: "context, Together as 403", status: 403, class: ContextLength, body: `{"error":{"message":"Input token count + max_tokens parameter must be less than the context length of the model being queried."}}`},
		{name: "context, Anthropic", status: 400, class: ContextLength, body: `{"error":{"type":"invalid_request_error","message":"prompt is too long: 213462 tokens > 200000 maximum"}}`},
		{name: "context, Gemini", status: 400, class: ContextLength, body: `[{"error":{"code":400,"message":"The input token count (1196265) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]`},
		{name: "413", status: 413, class: ContextLength, body: `<html>Request Entity Too Large</html>`},
		{name: "429 that waiting does not change", status: 429, class: ContextLength, code: "rate_limit_exceeded",
			body: `{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 30601. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`},
		{name: "200 with context_length_exceeded", status: 200, class: ContextLength, body: `{"error":{"message":"too long","code":"context_length_exceeded"}}`},

		// refusals
		{name: "content filter, Azure", status: 400, class: Refused, code: "content_filter",
			body: `{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}`},
		{name: "moderation, OpenRouter as 403", status: 403, class: Refused, body: `{"error":{"code":403,"message":"openai/gpt-4o requires moderation. Your input was flagged for \"violence\"","metadata":{"flagged_input":"secret"}}}`},
		{name: "invalid_prompt", status: 400, class: Refused, code: "invalid_prompt", body: `{"error":{"message":"Invalid prompt: your prompt was flagged as potentially violating our usage policy.","type":"invalid_request_error","code":"invalid_prompt"}}`},
		{name: "finish_reason content_filter", status: 200, class: Refused, code: "content_filter", body: `{"choices":[{"message":{"role":"assistant","content":""},"finish_reason":"content_filter"}],"usage":{"prompt_tokens":9,"completion_tokens":0}}`},
		{name: "refusal of the model", status: 200, class: Refused, code: "refusal", says: "can't help", body: `{"choices":[{"message":{"role":"assistant","content":null,"refusal":"I'm sorry, I can't help with that."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}`},

		// transient
		{name: "500", status: 500, class: Transient, body: `{"error":{"message":"The server had an error","type":"server_error"}}`},
		{name: "500 with a text", status: 500, class: Transient, body: `Internal Server Error`},
		{name: "502 HTML", status: 502, header: map[string]string{"Content-Type": "text/html"}, class: Transient, says: "HTML", body: `<html><body>502 Bad Gateway</body></html>`},
		{name: "503 with Retry-After", status: 503, header: map[string]string{"Retry-After": "3"}, class: Overloaded, after: 3 * time.Second, body: `{"error":{"message":"The engine is currently overloaded, please try again later"}}`},
		{name: "529", status: 529, class: Overloaded, body: `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`},
		{name: "408", status: 408, class: Transient, body: ``},
		{name: "409", status: 409, class: Transient, body: ``},
		{name: "302 to a maintenance page", status: 302, class: Transient, body: ``},
		{name: "200 with an error", status: 200, class: Transient, code: "server_error", body: `{"error":{"message":"oops","type":"server_error"}}`},
		{name: "200 with an error as text", status: 200, class: Transient, says: "oops", body: `{"error":"oops"}`},
		{name: "200 with an error beside null choices", status: 200, class: Transient, body: `{"choices":null,"error":{"message":"oops","code":502}}`},
		{name: "200 without choices", status: 200, class: Transient, says: "without choices", body: `{"id":"x","choices":[]}`},
		{name: "200 empty object", status: 200, class: Transient, body: `{}`},
		{name: "200 empty body", status: 200, class: Transient, code: "truncated", body: ``},
		{name: "200 HTML", status: 200, header: map[string]string{"Content-Type": "text/html"}, class: Transient, code: "no_json", says: "HTML", body: `<!doctype html><title>Sign in</title>`},
		{name: "200 half a JSON", status: 200, class: Transient, code: "truncated", body: `{"id":"x","choices":[{"message":{"content":"half`},
		{name: "200 something else", status: 200, class: Transient, code: "no_json", body: `[1,2,3]`},
		{name: "generation failed half-way, OpenRouter", status: 200, class: Transient, code: "generation_failed", body: `{"choices":[{"message":{"role":"assistant","content":"half"},"finish_reason":"error"}]}`},

		// the request's own fault
		{name: "400", status: 400, class: BadRequest, code: "invalid_value", says: "temperature must be", body: `{"error":{"message":"messages: temperature must be no more than 2","type":"invalid_request_error","param":"x","code":"invalid_value"}}`},
		{name: "422 FastAPI", status: 422, class: BadRequest, says: "body.messages: field required", body: `{"detail":[{"loc":["body","messages"],"msg":"field required","input":{"secret":"x"}}]}`},
		{name: "400 with a list of messages", status: 400, class: BadRequest, says: "one, two", body: `{"error":{"message":["one","two"],"type":"invalid_request_error"}}`},
		{name: "400 without a body", status: 400, class: BadRequest, says: "Bad Request", body: ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{answer: func(_ int, _ body, w http.ResponseWriter) {
				for k, v := range tt.header {
					w.Header().Set(k, v)
				}
				if w.Header().Get("Content-Type") == "" {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.body))
			}}
			c := newClient(t, rec, Config{APIKey: "a-key"})
			r := testRequest("The text of the document.")
			// Nothing here is a parameter that a dialect could leave out: the error must be returned.
			r.Model, r.MaxOutputTokens = "o4-mini", 0
			_, err := c.Complete(t.Context(), r)
			failed := wantError(t, err)
			if failed.Class != tt.class {
				t.Fatalf("class %s, want %s (%s)", failed.Class, tt.class, failed)
			}
			if tt.code != "" && failed.Code != tt.code {
				t.Errorf("code %q, want %q", failed.Code, tt.code)
			}
			if failed.Status != tt.status {
				t.Errorf("status %d, want %d", failed.Status, tt.status)
			}
			if !strings.Contains(failed.Message, tt.says) {
				t.Errorf("message %q does not say %q", failed.Message, tt.says)
			}
			if failed.RetryAfter != tt.after {
				t.Errorf("retry after %s, want %s", failed.RetryAfter, tt.after)
			}
			if strings.Contains(failed.Error(), "secret") {
				t.Errorf("quotes the input: %s", failed)
			}
			if len(rec.bodies) != 1 {
				t.Errorf("%d calls", len(rec.bodies))
			}
		})
	}
}

func TestHaltedWithoutKey(t *testing.T) {
	t.Parallel()
	c := newClient(t, &recorder{answer: func(_ int, _ body, w http.ResponseWriter) { reply(w, 401, `{"error":{"message":"no key"}}`) }}, Config{})
	_, err := c.Complete(t.Context(), testRequest("text"))
	if failed := wantError(t, err); failed.Class != Halted || !strings.Contains(failed.Message, "set OPENAI_API_KEY") {
		t.Errorf("got %+v", failed)
	}
}

func TestRefusalKeepsUsage(t *testing.T) {
	t.Parallel()
	fakeAnswer := `{"choices":[{"message":{"refusal":"no"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3}}`
	c := newClient(t, &recorder{answer: func(_ int, _ body, w http.ResponseWriter) { reply(w, 200, fakeAnswer) }}, Config{})
	_, err := c.Complete(t.Context(), testRequest("text"))
	if failed := wantError(t, err); failed.Usage != (Usage{In: 9, Out: 3}) {
		t.Errorf("usage %+v", failed.Usage)
	}
}
func FuzzErrorMessage(f *testing.F) {
	f.Add([]byte(`{"error":{"message":["a",{"b":1}],"code":4.5,"innererror":{"code":null}}}`))
	f.Add([]byte(`<html><title>0123456789</title>`))
	f.Add([]byte(`plain text of 0123456789`))
	f.Fuzz(func(t *testing.T, b []byte) {
		said := providererror.Parse(400, b)
		clean := scrubber{secrets: []string{"0123456789"}, prompt: []Message{{RoleUser, string(b)}}}.clean(said.Message)
		if len(clean) > maxMessage+len("…") || strings.Contains(clean, "0123456789") {
			t.Errorf("message %q", clean)
		}
	})
}

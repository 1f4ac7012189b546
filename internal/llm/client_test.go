package llm

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

var testSchema = json.RawMessage(`{"type":"object","properties":{"summary":{"type":"string"},"points":{"type":"array","items":{"type":"string"}}},"required":["summary","points"],"additionalProperties":false}`)

func testRequest(content string) Request {
	return Request{
		Model:           "gpt-4o-mini",
		Messages:        []Message{{RoleSystem, "Summarize the document."}, {RoleUser, content}},
		MaxOutputTokens: 400,
	}
}

// newFake starts an endpoint and a client that does not wait.
func newFake(t *testing.T, change func(*fakellm.Config), cfg Config) (*fakellm.Server, *Client) {
	t.Helper()
	fc := fakellm.Defaults()
	if change != nil {
		change(&fc)
	}
	fake, err := fakellm.New(fc)
	if err != nil {
		t.Fatal(err)
	}
	return fake, newClient(t, fake, cfg)
}

func newClient(t *testing.T, h http.Handler, cfg Config) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	cfg.BaseURL = srv.URL
	if cfg.CallWait == 0 {
		cfg.CallWait = -1
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func wantError(t *testing.T, err error) *Error {
	t.Helper()
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return failed
}

func TestCompleteAnswers(t *testing.T) {
	t.Parallel()
	fake, c := newFake(t, nil, Config{APIKey: "sk-test"})
	r := testRequest("The river rose in the night and took the old wooden bridge with it.")
	got, err := c.Complete(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Content, "river rose") || got.FinishReason != FinishStop || got.Model != "gpt-4o-mini" {
		t.Errorf("got %+v", got)
	}
	if got.Endpoint != c.Host() || got.Usage.In == 0 || got.Usage.Out == 0 {
		t.Errorf("endpoint or usage missing: %+v", got)
	}
	if calls := fake.Calls(); len(calls) != 1 || calls[0].Outcome != fakellm.OutcomeOK {
		t.Errorf("calls %+v", calls)
	}
}

func TestCompleteReportsCutAnswer(t *testing.T) {
	t.Parallel()
	_, c := newFake(t, nil, Config{})
	r := testRequest(strings.Repeat("Every sentence of this document says nearly the same thing again. ", 20))
	r.MaxOutputTokens = 5
	got, err := c.Complete(t.Context(), r)
	if err != nil || got.FinishReason != FinishLength || got.Usage.Out != 5 {
		t.Fatalf("got %+v, %v; want finish reason length and 5 tokens", got, err)
	}
}

func TestCompleteStructured(t *testing.T) {
	t.Parallel()
	_, c := newFake(t, nil, Config{})
	r := testRequest("The committee met on Tuesday and agreed to build the bridge in spring.")
	r.Schema = testSchema
	got, err := c.Complete(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var out struct {
		Summary string
		Points  []string
	}
	if err := json.Unmarshal([]byte(got.Content), &out); err != nil || out.Summary == "" || len(out.Points) == 0 {
		t.Errorf("content %q: %v", got.Content, err)
	}
}

// body is a decoded request body.
type body map[string]any

// recorder answers every request and keeps it.
type recorder struct {
	mu     sync.Mutex
	bodies []body
	paths  []string
	header http.Header
	answer func(n int, b body, w http.ResponseWriter)
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b body
	_ = json.NewDecoder(r.Body).Decode(&b)
	rec.mu.Lock()
	rec.bodies = append(rec.bodies, b)
	rec.paths = append(rec.paths, r.URL.RequestURI())
	rec.header = r.Header.Clone()
	n := len(rec.bodies)
	rec.mu.Unlock()
	if rec.answer != nil {
		rec.answer(n, b, w)
		return
	}
	reply(w, 200, goodAnswer)
}

const goodAnswer = `{"id":"1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":6}}}`

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestWireForm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Request)
		want   map[string]any // nil: must be absent
	}{
		{"temperature 0 is sent", nil, map[string]any{"temperature": 0.0, "max_tokens": 400.0, "max_completion_tokens": nil, "reasoning_effort": nil}},
		{"temperature is sent", func(r *Request) { r.Temperature = 0.5 }, map[string]any{"temperature": 0.5}},
		{"no cap", func(r *Request) { r.MaxOutputTokens = 0 }, map[string]any{"max_tokens": nil, "max_completion_tokens": nil}},
		{"o series", func(r *Request) { r.Model = "o4-mini" }, map[string]any{"temperature": nil, "max_tokens": nil, "max_completion_tokens": 1424.0, "reasoning_effort": "low"}},
		{"gpt-5", func(r *Request) { r.Model = "gpt-5-mini"; r.Temperature = 0.3 }, map[string]any{"temperature": nil, "max_completion_tokens": 1424.0}},
		{"gpt-6.1 with prefix", func(r *Request) { r.Model = "openai/gpt-6.1-sol" }, map[string]any{"temperature": nil, "max_completion_tokens": 1424.0}},
		{"gpt-5 chat does not reason", func(r *Request) { r.Model = "gpt-5-chat-latest" }, map[string]any{"temperature": 0.0, "max_completion_tokens": 400.0, "reasoning_effort": nil}},
		{"gpt-oss is no GPT-5", func(r *Request) { r.Model = "gpt-oss:20b" }, map[string]any{"temperature": 0.0, "max_tokens": 400.0}},
		{"gpt-35 is no GPT-5", func(r *Request) { r.Model = "gpt-35-turbo" }, map[string]any{"temperature": 0.0, "max_tokens": 400.0}},
		{"olmo is no o series", func(r *Request) { r.Model = "olmo2:7b" }, map[string]any{"temperature": 0.0, "max_tokens": 400.0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{}
			c := newClient(t, rec, Config{})
			r := testRequest("text")
			if tt.change != nil {
				tt.change(&r)
			}
			got, err := c.Complete(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Usage{In: 10, CachedIn: 4, CacheWriteIn: 6, Out: 2}); got.Usage != want {
				t.Errorf("usage %+v, want %+v", got.Usage, want)
			}
			for field, want := range tt.want {
				if v, ok := rec.bodies[0][field]; v != want || ok != (want != nil) {
					t.Errorf("%s is %v, want %v", field, v, want)
				}
			}
		})
	}
}

func TestAzure(t *testing.T) {
	t.Parallel()
	rec := &recorder{}
	c := newClient(t, rec, Config{APIKey: "azkey", APIVersion: "2024-10-21"})
	r := testRequest("text")
	r.Model = "team.gpt:35"
	if _, err := c.Complete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if want := "/openai/deployments/team.gpt:35/chat/completions?api-version=2024-10-21"; rec.paths[0] != want {
		t.Errorf("path %s, want %s", rec.paths[0], want)
	}
	if rec.header.Get("api-key") != "azkey" || rec.header.Get("Authorization") != "" {
		t.Errorf("headers %v", rec.header)
	}
}

func TestAzureOnFake(t *testing.T) {
	t.Parallel()
	_, c := newFake(t, func(f *fakellm.Config) { f.Keys = []string{"azkey"} }, Config{APIKey: "azkey", APIVersion: "2024-10-21"})
	if _, err := c.Complete(t.Context(), testRequest("A line of text that is long enough to be taken as prose.")); err != nil {
		t.Fatal(err)
	}
}

// TestDialect has requests refused for how they are written. They are rewritten, and the client
// remembers the dialect.
func TestDialect(t *testing.T) {
	t.Parallel()
	openaiError := func(message, param string) string {
		b, _ := json.Marshal(map[string]any{"error": map[string]any{"message": message, "type": "invalid_request_error", "param": param, "code": nil}})
		return string(b)
	}
	format := func(b body) string {
		f, _ := b["response_format"].(map[string]any)
		kind, _ := f["type"].(string)
		if s, ok := f["json_schema"].(map[string]any); ok && s["strict"] == true {
			kind += " strict"
		}
		return kind
	}
	tests := []struct {
		name   string
		model  string
		refuse func(b body) string // the error body, empty to accept
		check  func(t *testing.T, b body)
		calls  int // until the first answer
	}{
		{
			name: "json_schema not supported",
			refuse: func(b body) string {
				if strings.HasPrefix(format(b), "json_schema") {
					return openaiError("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.", "response_format")
				}
				return ""
			},
			check: func(t *testing.T, b body) {
				system := b["messages"].([]any)[0].(map[string]any)["content"].(string)
				if format(b) != "json_object" || !strings.Contains(system, `"points"`) || !strings.Contains(system, "JSON") {
					t.Errorf("format %s, system prompt %q", format(b), system)
				}
			},
			calls: 2,
		},
		{
			name: "only this schema is not strict",
			refuse: func(b body) string {
				if format(b) == "json_schema strict" {
					return openaiError("Invalid schema for response_format 'answer': In context=(), 'required' is required to be supplied and to be an array including every key in properties.", "response_format")
				}
				return ""
			},
			check: func(t *testing.T, b body) {
				if format(b) != "json_schema" {
					t.Errorf("format %q, want json_schema without strict", format(b))
				}
			},
			calls: 2,
		},
		{
			name: "no response_format at all, FastAPI wording",
			refuse: func(b body) string {
				if b["response_format"] != nil {
					return `{"detail":[{"type":"extra_forbidden","loc":["body","response_format"],"msg":"Extra inputs are not permitted","input":{"type":"json_schema"}}]}`
				}
				return ""
			},
			check: func(t *testing.T, b body) {
				if b["response_format"] != nil {
					t.Error("response_format is still sent")
				}
			},
			calls: 3,
		},
		{
			name:  "a deployment that is a reasoning model",
			model: "our-deployment",
			refuse: func(b body) string {
				switch {
				case b["max_tokens"] != nil:
					return openaiError("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "max_tokens")
				case b["temperature"] != nil:
					return openaiError("Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.", "temperature")
				}
				return ""
			},
			check: func(t *testing.T, b body) {
				if b["max_completion_tokens"] != 400.0 || b["temperature"] != nil {
					t.Errorf("body %v", b)
				}
			},
			calls: 3,
		},
		{
			name:  "a gateway that does not know max_completion_tokens and effort",
			model: "gpt-5-mini",
			refuse: func(b body) string {
				switch {
				case b["max_completion_tokens"] != nil:
					return openaiError("Unrecognized request argument supplied: max_completion_tokens", "")
				case b["reasoning_effort"] != nil:
					return openaiError("Unrecognized request argument supplied: reasoning_effort", "")
				}
				return ""
			},
			check: func(t *testing.T, b body) {
				if b["max_tokens"] != 1424.0 || b["reasoning_effort"] != nil {
					t.Errorf("body %v", b)
				}
			},
			calls: 3,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := &recorder{answer: func(_ int, b body, w http.ResponseWriter) {
				if refusal := tt.refuse(b); refusal != "" {
					reply(w, 400, refusal)
					return
				}
				reply(w, 200, goodAnswer)
			}}
			c := newClient(t, rec, Config{})
			r := testRequest("text")
			r.Schema = testSchema
			if tt.model != "" {
				r.Model = tt.model
			}
			_, err := c.Complete(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if len(rec.bodies) != tt.calls {
				t.Errorf("%d calls, want %d", len(rec.bodies), tt.calls)
			}
			tt.check(t, rec.bodies[len(rec.bodies)-1])
			if _, err := c.Complete(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if len(rec.bodies) != tt.calls+1 {
				t.Errorf("the lesson was not kept: %d calls for the second answer", len(rec.bodies)-tt.calls)
			}
		})
	}
}

// TestDialectEnds: a refused value is not a question of dialect, and the number of rewrites is
// bounded.
func TestDialectEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		message string
		calls   int
	}{
		{"max_tokens is too large: 100000. This model supports at most 16384 completion tokens.", 1},
		{"max_completion_tokens is too large: 100000.", 1},
		{"temperature must be between 0 and 2", 1 + 1}, // not set by the user: once without
		{"Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported. Use 'max_completion_tokens'. Unsupported temperature. response_format is not supported", 2 + 3},
		{"unknown: max_completion_tokens", 1},
	}
	for _, tt := range tests {
		rec := &recorder{answer: func(_ int, _ body, w http.ResponseWriter) {
			b, _ := json.Marshal(map[string]any{"error": map[string]any{"message": tt.message}})
			reply(w, 400, string(b))
		}}
		c := newClient(t, rec, Config{})
		r := testRequest("text")
		r.Schema = testSchema
		_, err := c.Complete(t.Context(), r)
		if failed := wantError(t, err); failed.Class != BadRequest || len(rec.bodies) > 1+maxRewrites || len(rec.bodies) != tt.calls {
			t.Errorf("%s: %d calls, want %d: %v", tt.message, len(rec.bodies), tt.calls, failed)
		}
	}
}

// TestDialectConcurrent: many calls that are refused at once change the dialect once.
func TestDialectConcurrent(t *testing.T) {
	t.Parallel()
	_, c := newFake(t, func(f *fakellm.Config) { f.NoSchema = true }, Config{})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			r := testRequest("The harvest was good this year, and the barns are full to the roof.")
			r.Schema = testSchema
			if _, err := c.Complete(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	r := testRequest("")
	r.Schema = testSchema
	if got := c.dialect(r).format; got != formatObject {
		t.Errorf("format %s, want %s", got, formatObject)
	}
}

func TestUnfence(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"a":1}`:                       `{"a":1}`,
		"```json\n{\"a\":1}\n```":       `{"a":1}`,
		"  ```\n{\"a\":1}\n```  ":       `{"a":1}`,
		"```{\"a\":\n1}```":             "{\"a\":\n1}",
		"```json\n{\"a\":1}":            "```json\n{\"a\":1}",
		"text with ``` in it":           "text with ``` in it",
		"```json\n{\"a\":\"```\"}\n```": "{\"a\":\"```\"}",
	} {
		if got := unfence(in); got != want {
			t.Errorf("unfence(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestCallerContext(t *testing.T) {
	t.Parallel()
	t.Run("cancelled during the call", func(t *testing.T) {
		t.Parallel()
		_, c := newFake(t, func(f *fakellm.Config) { f.RateHang = 1 }, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := c.Complete(ctx, testRequest("text"))
		var failed *Error
		if !errors.Is(err, context.Canceled) || errors.As(err, &failed) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	t.Run("cancelled before", func(t *testing.T) {
		t.Parallel()
		fake, c := newFake(t, nil, Config{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Complete(ctx, testRequest("text")); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if n := fake.Stats().Calls; n != 0 {
			t.Errorf("%d calls were made", n)
		}
	})
	t.Run("own timeout is transient", func(t *testing.T) {
		t.Parallel()
		_, c := newFake(t, func(f *fakellm.Config) { f.RateHang = 1 }, Config{Timeout: 50 * time.Millisecond})
		_, err := c.Complete(t.Context(), testRequest("text"))
		if failed := wantError(t, err); failed.Class != Transient || failed.Code != "timeout" {
			t.Errorf("got %+v", failed)
		}
	})
}

func TestFaultsOfTheNetwork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*fakellm.Config)
		codes  []string
		billed bool // may be
	}{
		{"truncated body", func(f *fakellm.Config) { f.RateTruncate = 1 }, []string{"truncated"}, true},
		{"reset", func(f *fakellm.Config) { f.RateReset = 1 }, []string{"reset", "truncated", "network"}, true},
		{"hung", func(f *fakellm.Config) { f.RateHang = 1 }, []string{"timeout"}, true},
		{"500", func(f *fakellm.Config) { f.Rate500 = 1 }, []string{"server_error"}, false},
		{"HTML 502", func(f *fakellm.Config) { f.Rate502HTML = 1 }, []string{""}, false},
		{"200 with an error", func(f *fakellm.Config) { f.RateError200 = 1 }, []string{"server_error"}, false},
		{"200 without choices", func(f *fakellm.Config) { f.RateNoChoice = 1 }, []string{""}, true},
		{"down", func(f *fakellm.Config) { f.Down = true }, []string{"server_error"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake, c := newFake(t, tt.change, Config{Timeout: 2 * time.Second})
			_, err := c.Complete(t.Context(), testRequest("text"))
			failed := wantError(t, err)
			if failed.MayBeBilled != tt.billed {
				t.Errorf("may be billed: %v, want %v", failed.MayBeBilled, tt.billed)
			}
			ok := false
			for _, code := range tt.codes {
				ok = ok || failed.Code == code
			}
			class := Transient
			if tt.name == "down" { // a 503
				class = Overloaded
			}
			if failed.Class != class || !ok {
				t.Errorf("got %+v, want %s with a code of %q", failed, class, tt.codes)
			}
			if tt.name == "HTML 502" && !strings.Contains(failed.Message, "HTML") {
				t.Errorf("message %q", failed.Message)
			}
			// The client still works.
			if err := fake.Set(func(f *fakellm.Config) { *f = fakellm.Defaults() }); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func TestNothingListens(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	c, err := New(Config{BaseURL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Complete(t.Context(), testRequest("text"))
	if failed := wantError(t, err); failed.Class != Unavailable || failed.Code != "unreachable" || failed.MayBeBilled || Sent(err) {
		t.Errorf("got %+v", failed)
	}
}

func TestTLSIsHalted(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes fail
	secure.StartTLS()
	defer secure.Close()
	for _, url := range []string{secure.URL, strings.Replace(plain.URL, "http:", "https:", 1)} {
		c, err := New(Config{BaseURL: url})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Complete(t.Context(), testRequest("text"))
		if failed := wantError(t, err); failed.Class != Halted || failed.Code != "tls" {
			t.Errorf("%s: got %+v", url, failed)
		}
		c.Close()
	}
}

func TestAnswerTooLarge(t *testing.T) {
	t.Parallel()
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page := make([]byte, 1<<20)
		for range maxAnswerBytes>>20 + 2 {
			if _, err := w.Write(page); err != nil {
				return
			}
		}
	}), Config{})
	_, err := c.Complete(t.Context(), testRequest("text"))
	if failed := wantError(t, err); failed.Class != Transient || failed.Code != "answer_too_large" {
		t.Errorf("got %+v", failed)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	fake, err := fakellm.New(fakellm.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(fake)
	srv.Config.ConnState = connCounter(&opened)
	srv.Start()
	defer srv.Close()
	c, err := New(Config{BaseURL: srv.URL, MaxConnections: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// A few more connections than callers are opened while others become idle. Without reuse there
	// would be one for nearly each of the 160 calls.
	if n := opened.Load(); n > 32 {
		t.Errorf("%d connections for 8 callers", n)
	}
}

func connCounter(opened *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
}

// TestPromptCut uses an endpoint that drops what does not fit, as Ollama does.
func TestPromptCut(t *testing.T) {
	t.Parallel()
	_, c := newFake(t, func(f *fakellm.Config) { f.ContextTokens, f.ContextStyle = 4096, "ollama" }, Config{})
	long := testRequest(strings.Repeat("The harbour master wrote down the name of every ship that came in. ", 800))
	long.Model = "llama3.1:8b"
	_, err := c.Complete(t.Context(), long)
	failed := wantError(t, err)
	if failed.Class != ContextLength || failed.Code != "prompt_cut" || failed.Usage.In != 4096 {
		t.Errorf("got %+v", failed)
	}
	short := testRequest(strings.Repeat("The harbour master wrote down the name of every ship that came in. ", 100))
	if _, err := c.Complete(t.Context(), short); err != nil {
		t.Errorf("a prompt that fits: %v", err)
	}
}

func TestErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const key = "topsecretkey-12345"
	const secret = "Patient Jane Roe was admitted with a broken collarbone on the third of May"
	echo, _ := json.Marshal(map[string]any{"error": map[string]any{
		"message": "Invalid request with key " + key + " and sk-abcdefgh12345678, Bearer abc.def: '" + secret + "' is not allowed " + strings.Repeat("blah ", 200),
		"type":    "invalid_request_error", "code": "bad",
	}})
	for _, status := range []int{400, 401, 403, 404, 429, 500, 200} {
		c := newClient(t, &recorder{answer: func(_ int, _ body, w http.ResponseWriter) { reply(w, status, string(echo)) }}, Config{APIKey: key})
		_, err := c.Complete(t.Context(), testRequest("Admission notes.\n"+secret+".\nNo visitors."))
		text := wantError(t, err).Error()
		for _, bad := range []string{key, "sk-abc", "abc.def", "Jane", "collarbone", "third of May"} {
			if strings.Contains(text, bad) {
				t.Errorf("status %d: the error holds %q: %s", status, bad, text)
			}
		}
		if len(text) > 600 {
			t.Errorf("status %d: the error is %d bytes long", status, len(text))
		}
	}
	if text := newClient(t, &recorder{}, Config{APIKey: key}).String(); strings.Contains(text, key) {
		t.Errorf("String shows the key: %s", text)
	}
}

// TestHTTP2 uses an endpoint like OpenAI's: HTTP/2 over TLS, many calls on one connection.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	fake, err := fakellm.New(fakellm.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(fake)
	srv.EnableHTTP2 = true
	srv.Config.ConnState = connCounter(&opened)
	srv.StartTLS()
	defer srv.Close()
	client, err := newHTTPClient(Config{MaxConnections: 16})
	if err != nil {
		t.Fatal(err)
	}
	client.Transport.(*http.Transport).TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	c, err := New(Config{BaseURL: srv.URL, HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func() error {
		_, err := c.Complete(t.Context(), testRequest("text"))
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := ask(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := opened.Load(); n > 3 {
		t.Errorf("%d connections", n)
	}
	for what, change := range map[string]func(*fakellm.Config){
		"truncated": func(f *fakellm.Config) { f.RateTruncate = 1 },
		"reset":     func(f *fakellm.Config) { f.RateTruncate, f.RateReset = 0, 1 },
	} {
		if err := fake.Set(change); err != nil {
			t.Fatal(err)
		}
		if failed := wantError(t, ask()); failed.Class != Transient {
			t.Errorf("%s: %+v", what, failed)
		}
		if err := fake.Set(func(f *fakellm.Config) { *f = fakellm.Defaults() }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRedirectsAreNotFollowed: neither the key nor the text goes to the target of a redirect.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		c := newClient(t, http.RedirectHandler(elsewhere.URL, status), Config{APIKey: "sk-test"})
		if _, err := c.Complete(t.Context(), testRequest("The river rose in the night.")); err == nil {
			t.Errorf("a %d is an answer", status)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d calls went elsewhere", n)
	}
}

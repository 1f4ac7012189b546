package preflight

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/summarize"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers requests for the list of models and calls.
type server struct {
	list, call   string
	listStatus   int
	callStatus   int
	calls, lists int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	status, body := s.callStatus, s.call
	if r.Method == http.MethodGet {
		s.lists++
		status, body = s.listStatus, s.list
	} else {
		s.calls++
		w.Header().Set("X-Ratelimit-Limit-Requests", "500")
	}
	w.Header().Set("Content-Type", "application/json")
	if status != 0 {
		w.WriteHeader(status)
	}
	_, _ = io.WriteString(w, body)
}

const (
	answer  = `{"model":"gpt-4o-mini-2024-07-18","choices":[{"message":{"content":"{\"summary\": \"The harbour was rebuilt in 1994.\"}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":20}}`
	listing = `{"object":"list","data":[{"id":"gpt-4o-mini"},{"id":"gpt-4o"}]}`
	refused = `{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}`
)

func profile(model string) summarize.Profile {
	return summarize.Profile{Model: model, Words: 50, MaxOutputTokens: 200}.WithPromptVersion(summarize.PromptV2)
}

// check checks a server, and returns its rows by their names.
func check(t *testing.T, s *server, change func(*Target)) map[string]Row {
	t.Helper()
	srv := httptest.NewServer(s)
	defer srv.Close()
	client, err := llm.New(llm.Config{BaseURL: srv.URL, APIKey: "key-0123", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	prices, err := llm.NewPrices(nil)
	if err != nil {
		t.Fatal(err)
	}
	target := Target{
		BaseURL: srv.URL, Client: client, HasKey: true, Profile: profile("gpt-4o-mini"), Prices: prices,
		Book: func(context.Context, llm.Request) (func(llm.Response, error) (string, error), error) {
			return func(llm.Response, error) (string, error) { return "", nil }, nil
		},
	}
	if change != nil {
		change(&target)
	}
	rows := map[string]Row{}
	for _, row := range target.Check(t.Context()) {
		rows[row.Check] = row
	}
	if s.calls > 1 {
		t.Errorf("%d calls", s.calls)
	}
	return rows
}

func TestTarget(t *testing.T) {
	t.Parallel()
	model := func(name string) func(*Target) { return func(t *Target) { t.Profile = profile(name) } }
	for name, tt := range map[string]struct {
		server server
		change func(*Target)
		calls  int
		want   map[string]string // state and a part of message or advice
	}{
		"everything works": {server: server{list: listing, call: answer}, calls: 1, want: map[string]string{
			"endpoint": "ok answers in", "key": "ok accepted", "model": "ok answers as gpt-4o-mini-2024-07-18", "call": "ok 200 tokens in, 20 tokens out, $0.000042",
			"parameters": "ok valid against the schema", "window": "ok 128,000 tokens", "limits": "unknown none announced", "price": "ok $0.15 in, $0.60 out",
		}},
		"a wrong key": {server: server{list: refused, listStatus: 401, call: refused, callStatus: 401}, calls: 1, want: map[string]string{
			"endpoint": "ok answers", "key": "failed OPENAI_API_KEY", "model": "unknown", "call": "failed OPENAI_API_KEY", "parameters": "unknown",
		}},
		"a public list and a wrong key": {server: server{list: listing, call: refused, callStatus: 401}, calls: 1, want: map[string]string{
			"key": "failed OPENAI_API_KEY", "model": "ok is in the list", "call": "failed",
		}},
		"a wrong key as 400": {server: server{listStatus: 404, call: `{"error":{"message":"API key not valid. Please pass a valid API key.","code":400,"status":"INVALID_ARGUMENT"}}`, callStatus: 400}, calls: 1, want: map[string]string{
			"endpoint": "ok", "key": "failed OPENAI_API_KEY",
		}},
		"a model that is not there": {
			server: server{list: listing, call: `{"error":{"message":"The model does not exist","code":"model_not_found"}}`, callStatus: 404}, change: model("gpt-4o-mimi"), calls: 1,
			want: map[string]string{"model": "failed did you mean", "call": "failed --model", "price": "unknown --prices", "window": "unknown --context-tokens"},
		},
		"an alias that the list does not have": {server: server{list: listing, call: answer}, change: model("team-default"), calls: 1, want: map[string]string{
			"model": "ok answers as", "call": "ok",
		}},
		"no list": {server: server{list: "404 page not found", listStatus: 404, call: answer}, calls: 1, want: map[string]string{
			"endpoint": "ok", "key": "ok accepted", "model": "ok", "call": "ok",
		}},
		"an answer without the schema": {
			server: server{list: listing, call: `{"choices":[{"message":{"content":"{\"other\": 1}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":20}}`}, calls: 1,
			want: map[string]string{"call": "ok", "parameters": "failed second time"},
		},
		"cut": {
			server: server{list: listing, call: `{"choices":[{"message":{"content":""},"finish_reason":"length"}],"usage":{"prompt_tokens":200,"completion_tokens":200}}`}, calls: 1,
			want: map[string]string{"call": "ok", "parameters": "unknown cut at its cap"},
		},
		"the budget": {
			server: server{list: listing, call: answer}, want: map[string]string{"key": "unknown", "model": "ok is in the list", "call": "unknown not made: no money"},
			change: func(t *Target) {
				t.Book = func(context.Context, llm.Request) (func(llm.Response, error) (string, error), error) {
					return nil, errors.New("no money")
				}
			},
		},
		"a budget without a price": {server: server{list: listing, call: answer}, calls: 1, want: map[string]string{"price": "failed budget in US dollars"}, change: func(t *Target) {
			t.Profile, t.NeedsPrice = profile("own-model"), true
		}},
		"a window that is too large": {
			server: server{list: `{"data":[{"id":"own-model","max_model_len":4096}]}`, call: answer}, calls: 1, want: map[string]string{"window": "failed set --context-tokens to 4096"},
			change: func(t *Target) { t.Profile, t.Window = profile("own-model"), 8192 },
		},
		"a window that the endpoint tells": {
			server: server{list: `{"data":[{"id":"own-model","max_model_len":32768}]}`, call: answer}, calls: 1, want: map[string]string{"window": "ok 32,768 tokens"},
			change: model("own-model"),
		},
		"limits that are set": {
			server: server{list: listing, call: answer}, calls: 1, want: map[string]string{"limits": "ok set: 60 requests a minute; announced: 500 requests"},
			change: func(t *Target) {
				t.RPM, t.Answers = 60, func() http.Header { return http.Header{"X-Ratelimit-Limit-Requests": {"500"}} }
			},
		},
		"no key": {server: server{list: listing, call: answer}, calls: 1, want: map[string]string{"key": "unknown none is needed"}, change: func(t *Target) { t.HasKey = false }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := check(t, &tt.server, tt.change)
			if len(rows) != 8 || tt.server.calls != tt.calls {
				t.Errorf("%d rows, %d calls", len(rows), tt.server.calls)
			}
			for check, want := range tt.want {
				state, text, _ := strings.Cut(want, " ")
				got := rows[check]
				if got.State != State(state) || !strings.Contains(got.Message+" "+got.Advice, text) {
					t.Errorf("%s: %+v, want %q", check, got, want)
				}
			}
			if strings.Contains(fmt.Sprint(rows), "key-0123") {
				t.Errorf("the key is in %v", rows)
			}
		})
	}
}

// Nothing is called at an endpoint that is not reachable, and every row is there.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	s := &server{}
	rows := check(t, s, func(t *Target) {
		client, err := llm.New(llm.Config{BaseURL: srv.URL})
		if err == nil {
			t.Client, t.Name = client, "fallback 1"
		}
	})
	if got := rows["fallback 1 endpoint"]; got.State != Failed || !strings.Contains(got.Message, "nothing listens") {
		t.Errorf("%+v", got)
	}
	if got := rows["fallback 1 call"]; got.State != Unknown || len(rows) != 8 {
		t.Errorf("%+v of %d", got, len(rows))
	}
}

func TestParseModels(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body    string
		names   []string
		windows map[string]int
	}{
		"OpenAI":     {`{"object":"list","data":[{"id":"gpt-4o","object":"model","owned_by":"openai"}]}`, []string{"gpt-4o"}, map[string]int{}},
		"vLLM":       {`{"data":[{"id":"Qwen/Qwen3-8B","max_model_len":40960}]}`, []string{"Qwen/Qwen3-8B"}, map[string]int{"Qwen/Qwen3-8B": 40960}},
		"OpenRouter": {`{"data":[{"id":"a/b","context_length":131072,"pricing":{"prompt":"0"}}]}`, []string{"a/b"}, map[string]int{"a/b": 131072}},
		"Groq":       {`{"data":[{"id":"a","context_window":8192,"active":true}]}`, []string{"a"}, map[string]int{"a": 8192}},
		"Mistral":    {`{"data":[{"id":"a","max_context_length":32768,"capabilities":{"vision":false}}]}`, []string{"a"}, map[string]int{"a": 32768}},
		"llama.cpp":  {`{"models":[{"name":"a"}],"data":[{"id":"a.gguf","meta":{"n_ctx_train":131072,"n_ctx":4096}}]}`, []string{"a.gguf"}, map[string]int{"a.gguf": 4096}},
		"Together":   {`[{"id":"a","context_length":16384}]`, []string{"a"}, map[string]int{"a": 16384}},
		"odd types":  {`{"data":[{"id":"a","max_model_len":"many"},{"id":""},7]}`, []string{"a"}, map[string]int{}},
		"empty":      {`{"data":[]}`, nil, nil},
		"a page":     {`<!doctype html>`, nil, nil},
	} {
		got, ok := parseModels([]byte(tt.body))
		if ok != (tt.names != nil) || !slices.Equal(got.names, tt.names) || ok && cmp.Diff(tt.windows, got.windows) != "" {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}
	}
	m := models{names: []string{"models/gemini-2.5-flash", "llama3.2:latest", "Qwen/Qwen3-8B"}}
	for model, want := range map[string]string{
		"gemini-2.5-flash": "models/gemini-2.5-flash", "llama3.2": "llama3.2:latest", "qwen/qwen3-8b": "Qwen/Qwen3-8B", "llama3": "",
	} {
		if got, ok := m.find(model); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %t", model, got, ok)
		}
	}
}

func TestAnnounced(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header http.Header
		want   []string
	}{
		"OpenAI": {http.Header{"X-Ratelimit-Limit-Requests": {"500"}, "X-Ratelimit-Limit-Tokens": {"30000"}, "X-Ratelimit-Remaining-Tokens": {"9"}},
			[]string{"30000 tokens", "500 requests"}},
		"Anthropic": {http.Header{"Anthropic-Ratelimit-Input-Tokens-Limit": {"40000"}, "Anthropic-Ratelimit-Requests-Reset": {"2026-12-01T00:00:00Z"}}, []string{"40000 input tokens"}},
		"Mistral":   {http.Header{"X-Ratelimit-Limit-Req-Minute": {"60"}}, []string{"60 req minute"}},
		"Azure":     {http.Header{"X-Ratelimit-Limit-Tokens": {"-1"}, "X-Rate-Limit-Limit-Requests": {"6"}}, []string{"6 requests"}},
		"none":      {http.Header{"Content-Type": {"application/json"}}, nil},
	} {
		if got := announced(tt.header); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var r Report
	r.Try(t.Context(), "a", time.Minute, func(context.Context) (string, State, error) { return "fine", OK, nil })
	if !r.OK {
		t.Error("one check passed")
	}
	r.Try(t.Context(), "b", time.Nanosecond, func(ctx context.Context) (string, State, error) {
		<-ctx.Done()
		return "", OK, ctx.Err()
	})
	r.Try(t.Context(), "c", time.Minute, func(context.Context) (string, State, error) { return "", OK, errors.New("broken") })
	if r.OK || len(r.Rows) != 3 || r.Rows[1].State != Failed || !strings.Contains(r.Rows[1].Message, "no answer within") || r.Rows[2].Message != "broken" {
		t.Errorf("%+v", r)
	}
	if marks := OK.Mark() + Failed.Mark() + Unknown.Mark(); marks != "✓✗–" {
		t.Error(marks)
	}
}

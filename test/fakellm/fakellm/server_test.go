package fakellm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(t *testing.T, change func(*fakellm.Config)) *fakellm.Server {
	t.Helper()
	cfg := fakellm.Defaults()
	if change != nil {
		change(&cfg)
	}
	s, err := fakellm.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type answer struct {
	Status  int
	Header  http.Header
	Raw     string
	Choices []struct {
		Message struct {
			Content string
			Refusal string
		}
		FinishReason string `json:"finish_reason"`
	}
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
	}
	Error struct {
		Message, Type string
		Code          any
	}
}

const prose = "The old lighthouse stood on the cliff, and every night its lamp was lit by the keeper's daughter.\n"

// ask sends a chat completion without a network. extra are further JSON fields.
func ask(t *testing.T, s *fakellm.Server, content, extra string, header ...string) answer {
	t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"model":"m","messages":[{"role":"system","content":"Summarize."},{"role":"user","content":%s}]%s}`, text, extra)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	a := answer{Status: w.Code, Header: w.Result().Header, Raw: w.Body.String()}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%v in %s", err, a.Raw)
		}
	}
	return a
}

func TestAnswersAreDeterministic(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *fakellm.Config) { c.Words = 10 })
	a, b := ask(t, s, "# Title\n\n"+prose+prose, ""), ask(t, s, "# Title\n\n"+prose+prose, "")
	if a.Choices[0].Message.Content != "The old lighthouse stood on the cliff, and every night" {
		t.Errorf("content %q", a.Choices[0].Message.Content)
	}
	if a.Choices[0].Message.Content != b.Choices[0].Message.Content || a.Usage != b.Usage || a.Usage.Prompt == 0 {
		t.Errorf("%+v and %+v", a, b)
	}
	if got := ask(t, s, "", ""); got.Choices[0].Message.Content == "" {
		t.Error("an empty prompt has an empty answer")
	}
	if got := ask(t, s, "one two", ""); got.Choices[0].Message.Content != "one two" {
		t.Errorf("content %q", got.Choices[0].Message.Content)
	}
}

func TestLengthLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	for _, field := range []string{"max_tokens", "max_completion_tokens"} {
		a := ask(t, s, prose, `,"`+field+`":5`)
		if a.Choices[0].FinishReason != "length" || a.Usage.Completion != 5 || !strings.HasPrefix(prose, a.Choices[0].Message.Content) {
			t.Errorf("%s: %+v", field, a)
		}
	}
}

func TestStructuredAnswerFitsSchema(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	schema := `{"type":"object","required":["summary","points","score","kind","done","note","who"],"additionalProperties":false,"properties":{
		"summary":{"type":"string","maxLength":40},"points":{"type":"array","items":{"type":"string"},"minItems":3},
		"score":{"type":"integer","minimum":3,"maximum":5},"kind":{"enum":["news","report"]},"done":{"type":"boolean"},
		"note":{"type":["string","null"]},"who":{"$ref":"#/$defs/person"}},
		"$defs":{"person":{"type":"object","properties":{"name":{"type":"string","minLength":3},"friend":{"$ref":"#/$defs/person"}},"required":["name"]}}}`
	a := ask(t, s, prose, `,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":`+schema+`}}`)
	var got struct {
		Summary string
		Points  []string
		Score   float64
		Kind    string
		Done    bool
		Note    string
		Who     struct{ Name string }
	}
	if err := json.Unmarshal([]byte(a.Choices[0].Message.Content), &got); err != nil {
		t.Fatalf("%v in %s", err, a.Raw)
	}
	if got.Summary == "" || len(got.Summary) > 40 || len(got.Points) != 3 || got.Score != 3 || got.Kind != "news" || !got.Done || got.Note == "" || len(got.Who.Name) < 3 {
		t.Errorf("%+v", got)
	}
	for _, format := range []string{`{"type":"json_object"}`, `{"type":"json_schema"}`, `{"type":"json_schema","json_schema":{"schema":[1]}}`} {
		a := ask(t, s, prose, `,"response_format":`+format)
		if !json.Valid([]byte(a.Choices[0].Message.Content)) {
			t.Errorf("%s: %s", format, a.Raw)
		}
	}
	if err := s.Set(func(c *fakellm.Config) { c.RateBadJSON = 1 }); err != nil {
		t.Fatal(err)
	}
	if a := ask(t, s, prose, `,"response_format":{"type":"json_object"}`); json.Valid([]byte(a.Choices[0].Message.Content)) {
		t.Errorf("rate_bad_json 1 gave %s", a.Raw)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(*fakellm.Config)
		content string
		extra   string
		header  []string
		status  int
		outcome string
		says    string
	}{
		{"wrong key", func(c *fakellm.Config) { c.Keys = []string{"good"} }, prose, "", []string{"Authorization", "Bearer bad"}, 401, fakellm.OutcomeBadKey, "invalid_api_key"},
		{"no key", func(c *fakellm.Config) { c.Keys = []string{"good"} }, prose, "", nil, 401, fakellm.OutcomeBadKey, "invalid_api_key"},
		{"bearer key", func(c *fakellm.Config) { c.Keys = []string{"good"} }, prose, "", []string{"Authorization", "Bearer good"}, 200, fakellm.OutcomeOK, ""},
		{"Azure key", func(c *fakellm.Config) { c.Keys = []string{"good"} }, prose, "", []string{"api-key", "good"}, 200, fakellm.OutcomeOK, ""},
		{"unknown model", func(c *fakellm.Config) { c.Models = []string{"other"} }, prose, "", nil, 404, fakellm.OutcomeNoModel, "model_not_found"},
		{"no credit", func(c *fakellm.Config) { c.NoCredit = true }, prose, "", nil, 429, fakellm.OutcomeNoCredit, "insufficient_quota"},
		{"down", func(c *fakellm.Config) { c.Down = true }, prose, "", nil, 503, fakellm.OutcomeDown, "maintenance"},
		{"context", func(c *fakellm.Config) { c.ContextTokens = 20 }, prose, "", nil, 400, fakellm.OutcomeContext, "context_length_exceeded"},
		{"context, cap included", func(c *fakellm.Config) { c.ContextTokens = 100 }, prose, `,"max_tokens":90`, nil, 400, fakellm.OutcomeContext, "maximum context length is 100"},
		{"context of vLLM", func(c *fakellm.Config) { c.ContextTokens, c.ContextStyle = 20, "vllm" }, prose, "", nil, 400, fakellm.OutcomeContext, `"object":"error"`},
		{"context of llama.cpp", func(c *fakellm.Config) { c.ContextTokens, c.ContextStyle = 20, "llamacpp" }, prose, "", nil, 400, fakellm.OutcomeContext, "exceed_context_size_error"},
		{"context of Ollama", func(c *fakellm.Config) { c.ContextTokens, c.ContextStyle = 20, "ollama" }, prose, "", nil, 200, fakellm.OutcomeOK, `"prompt_tokens":20`},
		{"no schema", func(c *fakellm.Config) { c.NoSchema = true }, prose, `,"response_format":{"type":"json_schema"}`, nil, 400, fakellm.OutcomeBad, "response_format"},
		{"refusal", nil, prose + "FAKELLM-REFUSE", "", nil, 200, fakellm.OutcomeRefused, `"refusal":"I'm sorry`},
		{"filter", nil, prose + "FAKELLM-FILTER", "", nil, 400, fakellm.OutcomeRefused, "content_filter"},
		{"poison", nil, prose + "FAKELLM-FAIL", "", nil, 500, fakellm.OutcomeFault500, "server_error"},
		{"500", func(c *fakellm.Config) { c.Rate500 = 1 }, prose, "", nil, 500, fakellm.OutcomeFault500, "server_error"},
		{"502", func(c *fakellm.Config) { c.Rate502HTML = 1 }, prose, "", nil, 502, fakellm.OutcomeFault502, "<html>"},
		{"200 with an error", func(c *fakellm.Config) { c.RateError200, c.Error200 = 1, "rate_limit_exceeded" }, prose, "", nil, 200, fakellm.OutcomeError200, "rate_limit_exceeded"},
		{"no choice", func(c *fakellm.Config) { c.RateNoChoice = 1 }, prose, "", nil, 200, fakellm.OutcomeNoChoice, `"choices":[]`},
		{"429", func(c *fakellm.Config) { c.Rate429 = 1 }, prose, "", nil, 429, fakellm.OutcomeFault429, "rate_limit_exceeded"},
		{"no JSON", nil, prose, `,`, nil, 400, fakellm.OutcomeBad, "parse"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.change)
			a := ask(t, s, tt.content, tt.extra, tt.header...)
			calls := s.Calls()
			if a.Status != tt.status || len(calls) != 1 || calls[0].Outcome != tt.outcome || calls[0].Status != tt.status {
				t.Errorf("status %d, calls %+v", a.Status, calls)
			}
			if !strings.Contains(a.Raw, tt.says) {
				t.Errorf("%q is not in %s", tt.says, a.Raw)
			}
		})
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *fakellm.Config) { c.Models = []string{"a", "b"} })
	get := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w.Code, w.Body.String()
	}
	if code, body := get("GET", "/v1/models"); code != 200 || !strings.Contains(body, `"id":"b"`) {
		t.Errorf("models: %d %s", code, body)
	}
	if code, _ := get("GET", "/v1/chat/completions"); code != 405 {
		t.Errorf("GET of completions: %d", code)
	}
	for _, path := range []string{"/", "/v1/embeddings", "/_fake/nothing", "/_fake/calls?after=x"} {
		if code, _ := get("GET", path); code < 400 {
			t.Errorf("%s: %d", path, code)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/openai/deployments/a/chat/completions?api-version=1", strings.NewReader(`{"model":"a","messages":[]}`))
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("Azure's path: %d", w.Code)
	}
}

func TestBucketLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// 60 a minute, a bucket of 5 seconds.
		s := newServer(t, func(c *fakellm.Config) {
			c.RPM, c.LimitPeriod, c.RetryAfter = 60, fakellm.Duration(5*time.Second), "ms"
		})
		for i := range 5 {
			if a := ask(t, s, prose, ""); a.Status != 200 || a.Header.Get("x-ratelimit-remaining-requests") != strconv.Itoa(4-i) {
				t.Fatalf("call %d: %d %v", i, a.Status, a.Header)
			}
		}
		time.Sleep(300 * time.Millisecond)
		a := ask(t, s, prose, "")
		if a.Status != 429 || a.Header.Get("retry-after-ms") != "700" || a.Header.Get("x-ratelimit-limit-requests") != "60" || a.Header.Get("Retry-After") != "1" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
		if !strings.Contains(a.Error.Message, "try again in 700ms") {
			t.Errorf("message %s", a.Error.Message)
		}
		time.Sleep(700 * time.Millisecond)
		if a := ask(t, s, prose, ""); a.Status != 200 {
			t.Errorf("after the time that was named: %d", a.Status)
		}
		// A change at run time takes effect at once.
		if err := s.Set(func(c *fakellm.Config) { c.RPM = 6000 }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		served := 0
		for range 200 {
			if ask(t, s, prose, "").Status == 200 {
				served++
			}
		}
		if served != 100 {
			t.Errorf("%d served after a second at 100 a second", served)
		}
	})
}

func TestWindowLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *fakellm.Config) {
			c.TPM, c.LimitMode, c.LimitHeaders, c.LimitPeriod = 6000, "window", "azure", fakellm.Duration(10*time.Second)
		})
		// The bubble's clock starts at midnight, so windows start at whole tens.
		time.Sleep(4 * time.Second)
		need := ask(t, s, prose, `,"max_tokens":300`)
		charge := s.Calls()[0].Charge
		if need.Status != 200 || charge != need.Usage.Prompt+300 {
			t.Fatalf("%d, charge %d", need.Status, charge)
		}
		if left := need.Header.Get("x-ratelimit-remaining-tokens"); left != strconv.Itoa(1000-charge) {
			t.Errorf("remaining %s", left)
		}
		served := 1
		for ask(t, s, prose, `,"max_tokens":300`).Status == 200 {
			served++
		}
		if served != 1000/charge {
			t.Errorf("%d served of %d", served, 1000/charge)
		}
		a := ask(t, s, prose, `,"max_tokens":300`)
		if a.Header.Get("Retry-After") != "6" || a.Header.Get("x-ratelimit-reset-tokens") != "6" {
			t.Errorf("headers %v", a.Header)
		}
		time.Sleep(6 * time.Second)
		if a := ask(t, s, prose, `,"max_tokens":300`); a.Status != 200 {
			t.Errorf("in the next window: %d", a.Status)
		}
		a = ask(t, s, prose, `,"max_tokens":5000`)
		if a.Status != 429 || a.Header.Get("Retry-After") != "" || !strings.Contains(a.Error.Message, "Request too large") {
			t.Errorf("more than a window: %d %v %s", a.Status, a.Header, a.Raw)
		}
		if got := s.Stats().Charged; got != int64((served+1)*charge) {
			t.Errorf("charged %d, want %d", got, (served+1)*charge)
		}
	})
}

func TestRefusedCallsCanCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *fakellm.Config) {
			c.RPM, c.LimitPeriod, c.ChargeRefused, c.RetryAfter = 60, fakellm.Duration(time.Second), true, "none"
		})
		if a := ask(t, s, prose, ""); a.Status != 200 {
			t.Fatal(a.Status)
		}
		for range 3 {
			time.Sleep(900 * time.Millisecond)
			if a := ask(t, s, prose, ""); a.Status != 429 || a.Header.Get("Retry-After") != "" {
				t.Errorf("%d %v", a.Status, a.Header)
			}
		}
	})
}

func TestLatencyAndInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var latency fakellm.Latency
		if err := latency.UnmarshalText([]byte("uniform:100ms-300ms")); err != nil {
			t.Fatal(err)
		}
		s := newServer(t, func(c *fakellm.Config) { c.Latency, c.MaxInFlight = latency, 3 })
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { ask(t, s, prose, "") })
		}
		start := time.Now()
		wg.Wait()
		if took := time.Since(start); took < 100*time.Millisecond || took > 300*time.Millisecond {
			t.Errorf("took %s", took)
		}
		if st := s.Stats(); st.Status[200] != 3 || st.Status[429] != 2 || st.MaxInFlight < 4 || st.InFlight != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestLatencyForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "300ms", "uniform:100ms-500ms", "lognormal:300ms,0.5"} {
		l, err := fakellm.ParseLatency(text)
		if err != nil || l.String() != text {
			t.Errorf("%q: %q, %v", text, l, err)
		}
	}
	for _, text := range []string{"fast", "uniform:5s-1s", "uniform:1s", "lognormal:1s", "lognormal:1s,-1", "normal:1s,1", "uniform:x-y"} {
		if _, err := fakellm.ParseLatency(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestFaultRates draws each fault about as often as configured, and the same calls for the same
// seed.
func TestFaultRates(t *testing.T) {
	t.Parallel()
	run := func(seed int64) []string {
		s := newServer(t, func(c *fakellm.Config) {
			c.Seed, c.Rate500, c.RateError200, c.RateNoChoice = seed, 0.1, 0.05, 0.05
		})
		var outcomes []string
		for range 1000 {
			ask(t, s, prose, "")
		}
		for _, c := range s.Calls() {
			outcomes = append(outcomes, c.Outcome)
		}
		st := s.Stats()
		for outcome, want := range map[string]int64{fakellm.OutcomeFault500: 100, fakellm.OutcomeError200: 50, fakellm.OutcomeNoChoice: 50} {
			if got := st.Outcomes[outcome]; got < want*6/10 || got > want*14/10 {
				t.Errorf("%s: %d times, want about %d", outcome, got, want)
			}
		}
		return outcomes
	}
	first, again, other := run(1), run(1), run(2)
	if !reflect.DeepEqual(first, again) {
		t.Error("the same seed gave other faults")
	}
	if reflect.DeepEqual(first, other) {
		t.Error("another seed gave the same faults")
	}
}

// TestNetworkFaults needs connections.
func TestNetworkFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(*fakellm.Config)
		outcome string
	}{
		{"truncate", func(c *fakellm.Config) { c.RateTruncate = 1 }, fakellm.OutcomeTruncated},
		{"reset", func(c *fakellm.Config) { c.RateReset = 1 }, fakellm.OutcomeReset},
		{"hang", func(c *fakellm.Config) { c.RateHang = 1 }, fakellm.OutcomeHang},
		{"slow", func(c *fakellm.Config) { c.RateSlow = 1 }, fakellm.OutcomeAbandoned},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.change)
			srv := httptest.NewServer(s)
			defer srv.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"x"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := srv.Client().Do(req)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Fatal("the answer is whole")
			}
			if timeout := errors.Is(err, context.DeadlineExceeded); timeout != (tt.name == "hang" || tt.name == "slow") {
				t.Errorf("%v", err)
			}
			srv.Close() // waits for the handler, and so for the record
			if calls := s.Calls(); len(calls) != 1 || calls[0].Outcome != tt.outcome {
				t.Errorf("calls %+v", calls)
			}
		})
	}
}

func TestLedger(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	ask(t, s, prose+"a", "")
	ask(t, s, prose+"b", "")
	ask(t, s, prose+"a", "")
	ask(t, s, prose+"FAKELLM-FAIL", "")
	st := s.Stats()
	if st.Calls != 4 || st.Completed != 3 || st.Distinct != 2 || st.Duplicates != 1 || st.Status[500] != 1 || st.TokensIn == 0 || st.TokensOut == 0 {
		t.Errorf("%+v", st)
	}
	calls := s.Calls()
	if calls[0].Prompt != calls[2].Prompt || calls[0].Prompt == calls[1].Prompt || len(calls[0].Prompt) != 32 {
		t.Errorf("prompts %+v", calls)
	}
	srv := httptest.NewServer(s)
	defer srv.Close()
	do := func(method, path, body string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, b
	}
	var listed []fakellm.Call
	if _, b := do("GET", "/_fake/calls?after=2", ""); json.Unmarshal(b, &listed) != nil || len(listed) != 2 || listed[0].ID != 3 {
		t.Errorf("calls after 2: %s", b)
	}
	if code, b := do("POST", "/_fake/config", `{"rpm":60,"keys":["k"],"latency":"uniform:1ms-2ms"}`); code != 200 || !bytes.Contains(b, []byte(`"latency":"uniform:1ms-2ms"`)) {
		t.Errorf("config: %d %s", code, b)
	}
	if c := s.Config(); c.RPM != 60 || c.Words != fakellm.Defaults().Words || len(c.Keys) != 1 {
		t.Errorf("config %+v", c)
	}
	for _, bad := range []string{`{"rpm":"x"}`, `{"limit_mode":"leaky"}`, `{"rate_500":2}`, `{"rate_500":0.6,"rate_hang":0.6}`, `no`, `{"latency":"?"}`} {
		if code, _ := do("POST", "/_fake/config", bad); code != 400 {
			t.Errorf("%s: %d", bad, code)
		}
	}
	if c := s.Config(); c.RPM != 60 {
		t.Error("a refused setting changed something")
	}
	if code, _ := do("PUT", "/_fake/config", `{"tpm":5}`); code != 200 || s.Config().RPM != 0 || s.Config().TPM != 5 {
		t.Errorf("replaced: %d %+v", code, s.Config())
	}
	if code, _ := do("DELETE", "/_fake/calls", ""); code != 204 || s.Stats().Calls != 0 || len(s.Calls()) != 0 {
		t.Errorf("after a reset: %d %+v", code, s.Stats())
	}
	if _, b := do("GET", "/_fake/calls", ""); strings.TrimSpace(string(b)) != "[]" {
		t.Errorf("no calls are %s", b)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	cfg := fakellm.Defaults()
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	cfg.Flags(fs)
	err := fs.Parse(strings.Fields(`-rpm 1200 -latency lognormal:300ms,0.5 -keys ["a","b"] -seed 7 -limit-mode window -limit-period 10s -rate-500 0.05 -record=false -down -refuse-marker 123`))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RPM != 1200 || cfg.Latency.String() != "lognormal:300ms,0.5" || len(cfg.Keys) != 2 || cfg.Seed != 7 || cfg.LimitMode != "window" ||
		time.Duration(cfg.LimitPeriod) != 10*time.Second || cfg.Rate500 != 0.05 || cfg.Record || !cfg.Down || cfg.RefuseMarker != "123" {
		t.Errorf("%+v", cfg)
	}
	v := reflect.TypeOf(cfg)
	for i := range v.NumField() {
		name := strings.ReplaceAll(v.Field(i).Tag.Get("json"), "_", "-")
		if f := fs.Lookup(name); f == nil || f.Usage == "" {
			t.Errorf("%s has no flag with a help text", v.Field(i).Name)
		}
	}
	for _, bad := range []string{"-rpm x", "-latency ?", "-limit-period 5"} {
		if fs.Parse(strings.Fields(bad)) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gistmill/gistmill/internal/llm/completion"
)

// TestFlexRefusals holds what refusals of a flex call mean. The same answers to a standard call are
// classified without regard to the tier.
func TestFlexRefusals(t *testing.T) {
	t.Parallel()
	openai := func(message, code string) string {
		return fmt.Sprintf(`{"error":{"message":%q,"type":"invalid_request_error","param":null,"code":%q}}`, message, code)
	}
	gemini := func(code int, status, message, details string) string {
		return fmt.Sprintf(`[{"error":{"code":%d,"message":%q,"status":%q,"details":[%s]}}]`, code, message, status, details)
	}
	tests := []struct {
		name   string
		status int
		header string // name of a header with the value 0
		body   string
		want   Class
	}{
		{"OpenAI", 429, "", openai("Resource Unavailable", "resource_unavailable"), Capacity},
		{"OpenAI, in words", 429, "", openai("Flex tier: insufficient resources to handle your request. Please try again later.", ""), Capacity},
		{"code alone", 429, "", `{"error":{"code":"resource_unavailable"}}`, Capacity},
		{"Groq", 498, "", `{"error":{"message":"Flex tier capacity exceeded","type":"capacity_exceeded"}}`, Capacity},
		{"Groq without a body", 498, "", ``, Capacity},
		{"Gemini 503", 503, "", gemini(503, "UNAVAILABLE", "The system is currently at capacity. Please retry.", ""), Capacity},
		{"Gemini overloaded", 503, "", gemini(503, "UNAVAILABLE", "The model is overloaded. Please try again later.", ""), Capacity},
		{"Gemini demand", 503, "", gemini(503, "UNAVAILABLE", "This model is currently experiencing high demand.", ""), Capacity},
		{"Gemini 429", 429, "", gemini(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).", ""), Capacity},
		{"Azure", 429, "", `{"error":{"code":"NoCapacity","message":"The system is currently experiencing high demand and cannot process your request."}}`, Capacity},
		{"gateway", 429, "", `{"error":{"code":"flex_unavailable","type":"rate_limit_error","message":"Flex capacity unavailable."}}`, Capacity},
		{"plain text", 429, "", `not enough resources`, Capacity},
		{"a 429 that names nothing", 429, "", `{"error":{"message":"Please try again later."}}`, Capacity},
		{"429 in a 200", 200, "", `{"error":{"code":429,"message":"Provider has no capacity"}}`, Capacity},

		{"OpenAI's limit", 429, "", openai("Rate limit reached for gpt-5-mini in organization org-1 on tokens per min (TPM): Limit 200000, Used 199000, Requested 3000.", "rate_limit_exceeded"), RateLimited},
		{"Groq's limit", 429, "", openai("Rate limit reached for model `x` in organization `o` service tier `flex` on requests per minute (RPM): Limit 30", "rate_limit_exceeded"), RateLimited},
		{"Azure's limit", 429, "", `{"error":{"code":"429","message":"Requests to the API have exceeded call rate limit of your current pricing tier."}}`, RateLimited},
		{"Gemini's quota", 429, "", gemini(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted.", `{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"x"}]}`), RateLimited},
		{"a header", 429, "x-ratelimit-remaining-requests", `{"error":{"message":"Please try again later."}}`, RateLimited},
		{"no credit", 429, "", openai("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"), Halted},
		{"down", 503, "", `<html>503</html>`, Transient},

		{"OpenAI, model", 400, "", openai("Flex is not available for this model.", ""), Halted},
		{"OpenAI, value", 400, "", openai("Unsupported service_tier: flex", ""), Halted},
		{"param", 400, "", `{"error":{"message":"Invalid value","param":"service_tier","code":"invalid_value"}}`, Halted},
		{"Groq, plan", 400, "", openai("`service_tier` `flex` is not available for this org. You can check your plan at https://console.groq.com/settings/billing/plans, and upgrade to access the required service tier.", ""), Halted},
		{"Gemini, model", 400, "", gemini(400, "INVALID_ARGUMENT", "service_tier FLEX is not supported for this model", ""), Halted},
		{"Gemini, field", 400, "", gemini(400, "INVALID_ARGUMENT", `Invalid JSON payload received. Unknown name "service_tier": Cannot find field.`, ""), Halted},
		{"FastAPI", 422, "", `{"detail":[{"type":"extra_forbidden","loc":["body","service_tier"],"msg":"Extra inputs are not permitted","input":"flex"}]}`, Halted},
		{"permission", 403, "", openai("Your project may not use flex processing.", ""), Halted},
		{"Groq, too large", 413, "", openai("Request too large for model `x` in organization `o` service tier `flex` on tokens per minute (TPM): Limit 6000, Requested 12328", "rate_limit_exceeded"), ContextLength},
		{"another parameter", 400, "", openai("Unsupported parameter: 'temperature'", ""), BadRequest},
		{"a flexible word", 400, "", openai("The schema must not be flexible.", ""), BadRequest},
	}
	for _, tt := range tests {
		ex := &exchange{status: tt.status, header: http.Header{}, body: []byte(tt.body)}
		if tt.header != "" {
			ex.header.Set(tt.header, "0")
		}
		got := classifier{tier: TierFlex, model: "m", now: time.Now()}.classify(ex)
		if got.Class != tt.want {
			t.Errorf("%s: class %s, want %s (%s)", tt.name, got.Class, tt.want, got)
		}
		if standard := (classifier{model: "m", now: time.Now()}).classify(ex); standard.Class == Capacity && tt.status != 498 {
			t.Errorf("%s: class %s of a standard call", tt.name, standard.Class)
		}
	}
}

// flexServer answers chat completions with what answer returns for the tier that was asked for:
// a status, and the tier that the answer names.
func flexServer(t *testing.T, answer func(asked string) (status int, tier string)) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Tier string `json:"service_tier"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		status, tier := answer(body.Tier)
		if status != 200 {
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error":{"code":"resource_unavailable","message":"Flex tier: insufficient resources"}}`)
			return
		}
		fmt.Fprintf(w, `{"model":"m","service_tier":%s,"choices":[{"finish_reason":"stop","message":{"content":"ok"}}],"usage":{"prompt_tokens":10,"completion_tokens":5}}`, tier)
	}))
	t.Cleanup(server.Close)
	c, err := New(Config{BaseURL: server.URL, CallWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestTierOfAnswer(t *testing.T) {
	t.Parallel()
	for named, want := range map[string]Tier{
		`"flex"`: TierFlex, `"default"`: TierStandard, `"on_demand"`: TierStandard, `"scale"`: TierStandard, `"Flex"`: TierFlex,
		`"priority"`: TierPriority, `null`: TierStandard, `1`: TierStandard, `{"a":[1]}`: TierStandard, `"paid"`: TierStandard,
	} {
		c := flexServer(t, func(asked string) (int, string) {
			if asked != "flex" {
				t.Errorf("asked for %q", asked)
			}
			return 200, named
		})
		got, err := c.Complete(t.Context(), Request{Model: "m", Tier: TierFlex})
		if err != nil || got.Tier != want || got.Content != "ok" {
			t.Errorf("%s: tier %q, %v; want %q", named, got.Tier, err, want)
		}
	}
	ex := &exchange{header: http.Header{"X-Gemini-Service-Tier": {"flex"}}}
	if got := billedTier(ex); got != TierFlex {
		t.Errorf("header: %q", got)
	}
	if got := billedTier(&exchange{}); got != TierStandard {
		t.Errorf("no header: %q", got)
	}
	anthropic, err := completion.Parse([]byte(`{"usage":{"service_tier":"batch"}}`))
	if got := billedTier(&exchange{answer: anthropic}); err != nil || got != TierBatch {
		t.Errorf("usage: %q, %v", got, err)
	}
}

func TestServiceTierOfEndpoint(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://api.openai.com/v1": "default", "https://api.groq.com/openai/v1": "", "http://localhost:8000": "default",
		"https://generativelanguage.googleapis.com/v1beta/openai": "",
	} {
		c, err := New(Config{BaseURL: url})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.serviceTier(TierStandard); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
		if c.serviceTier(TierFlex) != "flex" || c.serviceTier("") != "" {
			t.Errorf("%s: flex is %q, nothing %q", url, c.serviceTier(TierFlex), c.serviceTier(""))
		}
	}
}

// TestCapacityIsWaitedFor holds that a refused flex call is sent again at the flex tier, whatever
// the number of refusals, and that the limiter learns nothing.
func TestCapacityIsWaitedFor(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	c := flexServer(t, func(asked string) (int, string) {
		if asked != "flex" {
			t.Errorf("asked for %q", asked)
		}
		if calls.Add(1) <= 2 {
			return 429, ""
		}
		return 200, `"flex"`
	})
	var waits []Wait
	r := Request{Model: "m", Tier: TierFlex, Waits: Waits{Report: func(w *Wait) {
		if w != nil {
			waits = append(waits, *w)
		}
	}}}
	got, err := c.Complete(t.Context(), r)
	if err != nil || got.Tier != TierFlex || calls.Load() != 3 {
		t.Fatalf("%+v, %v after %d calls", got, err, calls.Load())
	}
	if len(waits) != 2 || waits[0].Kind != WaitCapacity || waits[0].Endpoint != c.Host() || waits[0].Cause == "" || !waits[0].Until.After(waits[0].Since) {
		t.Errorf("waits: %+v", waits)
	}
	if r.Name() != (Request{Model: "m"}).Name() {
		t.Error("the tier changes the name of a request")
	}
}

// TestCapacityEndsAtCallWait holds the error of a call whose wait would be too long.
func TestCapacityEndsAtCallWait(t *testing.T) {
	t.Parallel()
	c := flexServer(t, func(string) (int, string) { return 429, "" })
	c.cfg.CallWait = 10 * time.Millisecond
	_, err := c.Complete(t.Context(), Request{Model: "m", Tier: TierFlex})
	var failed *Error
	if !errors.As(err, &failed) || failed.Class != Capacity || failed.RetryAfter <= 0 || failed.NotSent || failed.Endpoint != c.Host() {
		t.Fatalf("%+v", err)
	}
}

// TestFlexFallback holds that the standard tier is asked only with the setting, and only after the
// tier refused calls for flexPatience.
func TestFlexFallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &Client{cfg: Config{CallWait: time.Minute}.withDefaults()}
		c.shortages.log = c.cfg.Logger
		var err error
		if c.base, err = parseBaseURL("http://model.test", false); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		complete := func(r Request) (tries int, tier Tier) {
			r.Waits = r.Waits.withDefaults(t.Context())
			var turn flexTurn
			for waited := time.Duration(0); ; tries++ {
				took, err := c.awaitCapacity(t.Context(), &r, &turn, c.cfg.CallWait-waited)
				if waited += took; err != nil {
					return tries, ""
				}
				if r.Tier != TierFlex {
					return tries, r.Tier
				}
				c.shortages.refused("m", &turn, time.Now(), &Error{Class: Capacity})
				time.Sleep(time.Millisecond)
			}
		}
		tries, tier := complete(Request{Model: "m", Tier: TierFlex, FlexFallback: true})
		if took := time.Since(begun); tier != TierStandard || took < flexPatience || took > flexPatience+time.Second || tries < 3 {
			t.Errorf("tier %q after %s and %d tries", tier, took, tries)
		}
		begun = time.Now()
		if tries, tier := complete(Request{Model: "m", Tier: TierFlex, FlexFallback: true}); tier != TierStandard || tries > 1 || time.Since(begun) > time.Second {
			t.Errorf("the next call: tier %q after %s and %d tries", tier, time.Since(begun), tries)
		}
		begun = time.Now()
		if tries, tier := complete(Request{Model: "m", Tier: TierFlex}); tier != "" || tries > 10 || time.Since(begun) > time.Minute {
			t.Errorf("without the setting: tier %q after %s and %d tries", tier, time.Since(begun), tries)
		}
		c.shortages.answered("m")
		begun = time.Now()
		r := Request{Model: "m", Tier: TierFlex, Waits: Waits{}.withDefaults(t.Context())}
		if _, err := c.awaitCapacity(t.Context(), &r, &flexTurn{}, time.Minute); err != nil || time.Since(begun) > 0 {
			t.Errorf("after an answer: %v in %s", err, time.Since(begun))
		}
	})
}

// TestShortageDelays holds that single refusals delay the refused call alone, that a row of them
// delays all, and that refusals of the same moment count once.
func TestShortageDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &shortages{log: Config{}.withDefaults().Logger}
		var one flexTurn
		sent := time.Now()
		time.Sleep(time.Second)
		for range 16 {
			s.refused("m", &one, sent, &Error{Class: Capacity})
		}
		wait := func(turn *flexTurn) time.Duration {
			_, until := s.state("m", turn)
			return max(time.Until(until), 0)
		}
		if d := wait(&one); d < capacityDelay/2 || d > capacityDelay {
			t.Errorf("the refused call waits %s", d)
		}
		if d := wait(&flexTurn{}); d != 0 {
			t.Errorf("another call waits %s", d)
		}
		for range 20 {
			time.Sleep(wait(&one) + time.Millisecond)
			s.refused("m", &one, time.Now(), &Error{Class: Capacity})
			time.Sleep(time.Nanosecond)
		}
		if d := wait(&flexTurn{}); d < capacityDelayCap/3 || d > capacityDelayCap {
			t.Errorf("another call waits %s after a row of refusals", d)
		}
		s.refused("m", &one, time.Now(), &Error{Class: Capacity, RetryAfter: time.Hour})
		if d := wait(&one); d != time.Hour {
			t.Errorf("the endpoint's own time is not kept: %s", d)
		}
		s.answered("m")
		if d := wait(&flexTurn{}); d != 0 {
			t.Errorf("after an answer another call waits %s", d)
		}
	})
}

func TestPricesOfTiers(t *testing.T) {
	t.Parallel()
	p := builtIn(t)
	u := Usage{In: 1e6, CachedIn: 4e5, Out: 1e6}
	standard, _ := p.Cost("gpt-5-mini", TierStandard, u)
	if flex, known := p.Cost("gpt-5-mini", TierFlex, u); !known || flex != standard/2 {
		t.Errorf("flex: %g, %v; standard %g", flex, known, standard)
	}
	if flex, _ := p.Cost("gemini-2.5-flash", TierFlex, Usage{In: 1e6, CachedIn: 1e6}); flex != 0.03 {
		t.Errorf("cached input of Gemini at the flex tier: %g", flex)
	}
	if worst, known := p.WorstCost("gpt-5-mini", TierFlex, 1000, 100); !known || worst != 1000*0.25e-6+100*2e-6 {
		t.Errorf("reserved for flex: %g, %v", worst, known)
	}
	for _, unknown := range []struct {
		model string
		tier  Tier
	}{{"gpt-4o-mini", TierFlex}, {"gemini-3-pro-preview", TierFlex}, {"gpt-5-mini", TierPriority}, {"llama3", TierFlex}, {"gpt-5-chat-latest", TierBatch}} {
		if usd, known := p.Cost(unknown.model, unknown.tier, u); known || usd != 0 {
			t.Errorf("%+v: %g, %v", unknown, usd, known)
		}
	}
	if !p.WithoutFlex("gpt-4o-mini-2024-07-18") || p.WithoutFlex("gpt-5-mini") || p.WithoutFlex("gemini-3-pro-preview") || p.WithoutFlex("llama3") {
		t.Error("models without the flex tier")
	}
	if got := p.Unknown(TierFlex, "gpt-5-mini", "gpt-4o", "x"); fmt.Sprint(got) != "[gpt-4o x]" {
		t.Errorf("unknown: %v", got)
	}
}

package llm

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/llm/providererror"
)

// A redirect that keeps the method is followed to the same scheme and host. Others end the run with
// the target in the message.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status int
		to     string
		says   string // empty: an answer
	}{
		"307 to a slash":        {307, "/v1/chat/completions/", ""},
		"308 to a slash":        {308, "/v1/chat/completions/", ""},
		"307 elsewhere":         {307, "http://llm.example.test/v1", "http://llm.example.test/v1"},
		"308 elsewhere":         {308, "https://llm.example.test/v1?token=secret", "https://llm.example.test/v1"},
		"302 to a sign-in page": {302, "https://sso.example.test/login?next=x", "https://sso.example.test/login: a sign-in page?"},
		"303":                   {303, "https://sso.example.test/", "sso.example.test"},
		"301 to the same host":  {301, "/v2/chat/completions", "has moved"},
		"307 without end":       {307, "/v1/chat/completions", "has moved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/") {
					reply(w, 200, goodAnswer)
					return
				}
				w.Header().Set("Location", tt.to)
				w.WriteHeader(tt.status)
			}), Config{})
			_, err := c.Complete(t.Context(), testRequest("text"))
			if tt.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failed := wantError(t, err); failed.Class != Halted || !strings.Contains(failed.Message, tt.says) || strings.Contains(failed.Message, "secret") {
				t.Errorf("got %+v", failed)
			}
		})
	}
}

// Where nothing was ever answered, a few answers that are no chat completions end the run. Later
// they are an outage.
func TestWebPageInsteadOfAnAPI(t *testing.T) {
	t.Parallel()
	answers := false
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if answers {
			reply(w, 200, goodAnswer)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!doctype html><html><title>Sign in</title></html>"))
	}), Config{})
	for i := range 2 * strangeLimit {
		_, err := c.Complete(t.Context(), testRequest("text"))
		failed := wantError(t, err)
		if want := i >= strangeLimit-1; (failed.Class == Halted) != want || !strings.Contains(failed.Error(), "Sign in") {
			t.Errorf("call %d: %+v", i, failed)
		}
	}
	answers = true
	if _, err := c.Complete(t.Context(), testRequest("text")); err != nil {
		t.Fatal(err)
	}
	answers = false
	for range 2 * strangeLimit {
		_, err := c.Complete(t.Context(), testRequest("text"))
		if failed := wantError(t, err); failed.Class == Halted {
			t.Errorf("halted after an answer: %+v", failed)
		}
	}
}

// TestLimits has what a 429, 402 or 400 about a limit means.
func TestLimits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		status int
		after  string // Retry-After
		body   string
		class  Class
		quota  string
		until  time.Duration // from now; 0: unknown
	}{
		"a minute":           {429, "20", `{"error":{"message":"Rate limit reached on tokens per min (TPM)"}}`, RateLimited, "", 0},
		"ten minutes":        {429, "600", `{"error":{"message":"come back later"}}`, RateLimited, "", 0},
		"a day's wait":       {429, "86400", `{"error":{"message":"Rate limit"}}`, Quota, "requests", 24 * time.Hour},
		"hours in words":     {429, "", `{"error":{"message":"Please try again in 58 hours."}}`, Quota, "requests", 58 * time.Hour},
		"a day, Groq":        {429, "", `{"error":{"message":"on tokens per day (TPD): Limit 100000, Used 99926, Requested 1739. Please try again in 23m58.56s."}}`, Quota, "tokens per day", 1438560 * time.Millisecond},
		"a day that refills": {429, "", `{"error":{"message":"on requests per day (RPD): Limit 10000, Used 10000, Requested 1. Please try again in 8.64s."}}`, RateLimited, "", 0},
		"a short wait":       {429, "5", `{"error":{"message":"You reached the requests per day"}}`, Quota, "requests per day", 0},
		"Gemini's day": {429, "", `[{"error":{"code":429,"message":"Please retry in 2.8s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"20"}]}]}}]`,
			Quota, "requests per day", 22*time.Hour + time.Minute},
		"a limit of 0":       {429, "", `{"error":{"message":"Quota exceeded for metric: x, limit: 0, model: y. Please retry in 2s."}}`, Halted, "", 0},
		"OpenRouter's reset": {429, "", `{"error":{"message":"Rate limit exceeded: free-models-per-day","code":429,"metadata":{"headers":{"X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1772496000000"}}}}`, Quota, "requests per day", 14 * time.Hour},
		"a date, as 400":     {400, "", `{"error":{"message":"You have reached your specified API usage limits. You will regain access on 2026-04-01 at 00:00 UTC."}}`, Quota, "requests", 29*24*time.Hour + 14*time.Hour},
		"a date that passed": {400, "", `{"error":{"message":"You have reached your specified API usage limits. You will regain access on 2026-03-01 at 00:00 UTC."}}`, Halted, "", 0},
		"no credit":          {402, "", `{"error":{"message":"Insufficient Balance"}}`, Halted, "", 0},
		"calls in flight":    {402, "1", `{"error":{"code":402,"message":"Your in-flight spending budget is exhausted."}}`, RateLimited, "", 0},
		"credits of a month": {402, "", `{"error":"You have exceeded your monthly included credits for Inference Providers."}`, Quota, "credits per month", 0},
		"a proxy's budget":   {400, "", `{"error":{"message":"Budget has been exceeded! Current cost: 10.51, Max budget: 10.00","type":"budget_exceeded"}}`, Halted, "", 0},
	} {
		h := http.Header{}
		if tt.after != "" {
			h.Set("Retry-After", tt.after)
		}
		v := classifier{now: now, model: "m"}.decide(tt.status, h, providererror.Parse(tt.status, []byte(tt.body)))
		until := time.Time{}
		if tt.until > 0 {
			until = now.Add(tt.until)
		}
		if v.class != tt.class || v.quota != tt.quota || !v.until.Equal(until) {
			t.Errorf("%s: %s, quota %q until %s; want %s, %q until %s", name, v.class, v.quota, v.until, tt.class, tt.quota, until)
		}
	}
}

// What tells nothing about document or endpoint is doubtful, and what does is not.
func TestDoubtful(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status   int
		body     string
		class    Class
		doubtful bool
	}{
		"403":               {403, `{"error":{"message":"Forbidden"}}`, Halted, true},
		"403 of a filter":   {403, `{"error":"Content violates usage guidelines."}`, Refused, false},
		"403 of a key":      {403, `{"error":{"message":"invalid api key"}}`, Halted, false},
		"400":               {400, `{"error":{"message":"odd"}}`, BadRequest, true},
		"404":               {404, `{"detail":"Not Found"}`, Halted, true},
		"404 of a model":    {404, `{"error":{"message":"model 'x' not found"}}`, Halted, false},
		"404 of a rollout":  {404, `default backend - 404`, Unavailable, false},
		"409":               {409, `{"error":{"message":"odd"}}`, Transient, true},
		"424":               {424, ``, Transient, true},
		"422":               {422, `{"detail":"odd"}`, BadRequest, true},
		"499":               {499, ``, Transient, false},
		"a 400 that passes": {400, `{"error":{"message":"upstream connect error, overloaded"}}`, Overloaded, false},
		"500":               {500, ``, Transient, false},
	} {
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}), Config{APIKey: "a-key-0123"})
		r := testRequest("text")
		r.Model, r.MaxOutputTokens = "o4-mini", 0
		_, err := c.Complete(t.Context(), r)
		if failed := wantError(t, err); failed.Class != tt.class || failed.Doubtful != tt.doubtful {
			t.Errorf("%s: %s, doubtful %t: %s", name, failed.Class, failed.Doubtful, failed)
		}
	}
}

package limiter

import (
	"net/http"
	"testing"
	"time"
)

// Each endpoint announces its limits under names of its own, and few name the window.
func TestAnnouncedLimits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		headers []string // name, value …
		want    limitsPerMinute
	}{
		"none":                  {nil, limitsPerMinute{}},
		"no limit":              {[]string{"x-ratelimit-remaining-requests", "0"}, limitsPerMinute{}},
		"no window":             {[]string{"x-ratelimit-limit-requests", "1200", "x-ratelimit-limit-tokens", "90000"}, limitsPerMinute{1200, 90000}},
		"does not apply":        {[]string{"x-ratelimit-limit-requests", "-1", "x-ratelimit-limit-tokens", "0"}, limitsPerMinute{}},
		"Azure's other name":    {[]string{"x-rate-limit-limit-tokens", "5"}, limitsPerMinute{0, 5}},
		"a word":                {[]string{"x-ratelimit-limit-requests", "many"}, limitsPerMinute{}},
		"too large":             {[]string{"x-ratelimit-limit-requests", "99999999999999999999"}, limitsPerMinute{}},
		"OpenAI":                {[]string{"x-ratelimit-limit-requests", "10000", "x-ratelimit-remaining-requests", "9999", "x-ratelimit-reset-requests", "6ms", "x-ratelimit-limit-tokens", "200000", "x-ratelimit-remaining-tokens", "199500", "x-ratelimit-reset-tokens", "150ms"}, limitsPerMinute{10000, 200000}},
		"OpenAI, a small limit": {[]string{"x-ratelimit-limit-requests", "3", "x-ratelimit-remaining-requests", "2", "x-ratelimit-reset-requests", "20s"}, limitsPerMinute{3, 0}},
		"OpenAI, used up":       {[]string{"x-ratelimit-limit-requests", "500", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "1m0s"}, limitsPerMinute{500, 0}},
		"OpenAI, half used":     {[]string{"x-ratelimit-limit-requests", "500", "x-ratelimit-remaining-requests", "250", "x-ratelimit-reset-requests", "30s"}, limitsPerMinute{500, 0}},
		"Azure, whole seconds":  {[]string{"x-ratelimit-limit-requests", "120", "x-ratelimit-remaining-requests", "119", "x-ratelimit-reset-requests", "1"}, limitsPerMinute{120, 0}},
		"Groq": {[]string{"x-ratelimit-limit-requests", "14400", "x-ratelimit-remaining-requests", "14370", "x-ratelimit-reset-requests", "2m59.56s",
			"x-ratelimit-limit-tokens", "18000", "x-ratelimit-remaining-tokens", "17997", "x-ratelimit-reset-tokens", "7.66ms"}, limitsPerMinute{0, 18000}},
		"Groq, at first":  {[]string{"x-ratelimit-limit-requests", "1000", "x-ratelimit-remaining-requests", "999", "x-ratelimit-reset-requests", "1m26.4s"}, limitsPerMinute{}},
		"a day":           {[]string{"x-ratelimit-limit-requests", "20", "x-ratelimit-remaining-requests", "19", "x-ratelimit-reset-requests", "6h0m0s"}, limitsPerMinute{}},
		"a second":        {[]string{"x-ratelimit-limit-requests", "5", "x-ratelimit-remaining-requests", "4", "x-ratelimit-reset-requests", "1s"}, limitsPerMinute{300, 0}},
		"tokens a second": {[]string{"x-ratelimit-limit-tokens", "1000", "x-ratelimit-remaining-tokens", "900", "x-ratelimit-reset-tokens", "1s"}, limitsPerMinute{0, 60000}},
		"ten seconds":     {[]string{"x-ratelimit-limit-requests", "50", "x-ratelimit-remaining-requests", "20", "x-ratelimit-reset-requests", "9.5"}, limitsPerMinute{300, 0}},
		"Mistral": {[]string{"x-ratelimit-limit-req-minute", "60", "x-ratelimit-remaining-req-minute", "59", "x-ratelimit-limit-tokens-minute", "500000",
			"x-ratelimit-limit-tokens-month", "1000000000"}, limitsPerMinute{60, 500000}},
		"Mistral, older": {[]string{"ratelimitbysize-limit", "500000", "ratelimitbysize-remaining", "499900", "ratelimitbysize-reset", "42"}, limitsPerMinute{0, 500000}},
		"Cerebras": {[]string{"x-ratelimit-limit-requests-day", "1000", "x-ratelimit-limit-tokens-minute", "60000", "x-ratelimit-reset-requests-day", "33011.38",
			"x-ratelimit-reset-tokens-minute", "11.38"}, limitsPerMinute{0, 60000}},
		"Anthropic": {[]string{"anthropic-ratelimit-requests-limit", "50", "anthropic-ratelimit-requests-remaining", "49", "anthropic-ratelimit-requests-reset", "2026-12-01T10:00:02Z",
			"anthropic-ratelimit-tokens-limit", "38000", "anthropic-ratelimit-input-tokens-limit", "30000", "anthropic-ratelimit-output-tokens-limit", "8000"}, limitsPerMinute{50, 38000}},
		"Anthropic, input only": {[]string{"anthropic-ratelimit-input-tokens-limit", "30000", "anthropic-ratelimit-output-tokens-limit", "8000"}, limitsPerMinute{0, 30000}},
		"OpenRouter":            {[]string{"X-RateLimit-Limit", "20", "X-RateLimit-Remaining", "19", "X-RateLimit-Reset", "1796119245000"}, limitsPerMinute{20, 0}},
		"OpenRouter, a day":     {[]string{"X-RateLimit-Limit", "50", "X-RateLimit-Remaining", "49", "X-RateLimit-Reset", "1796169600000"}, limitsPerMinute{}},
		"nothing but a number":  {[]string{"X-RateLimit-Limit", "5000"}, limitsPerMinute{}},
		"IETF, a policy":        {[]string{"RateLimit-Policy", `"burst";q=100;w=60,"daily";q=1000;w=86400`}, limitsPerMinute{100, 0}},
		"IETF, older":           {[]string{"RateLimit-Limit", "100, 100;w=10", "RateLimit-Remaining", "50", "RateLimit-Reset", "5"}, limitsPerMinute{600, 0}},
		"of other things":       {[]string{"x-ratelimit-limit-images", "5", "x-ratelimit-limit-input-images", "5", "anthropic-priority-ratelimit-tokens-limit", "7"}, limitsPerMinute{}},
	} {
		h := http.Header{}
		for i := 0; i < len(test.headers); i += 2 {
			h.Set(test.headers[i], test.headers[i+1])
		}
		var w windows
		if got := w.limits(h, now); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// A window that starts again each minute is one of a minute at its end, too.
func TestWindowsAreRemembered(t *testing.T) {
	t.Parallel()
	var w windows
	for i, state := range []struct{ remaining, reset string }{{"49", "59"}, {"30", "40"}, {"10", "5"}, {"9", "0.5"}} {
		h := http.Header{}
		h.Set("x-ratelimit-limit-requests", "50")
		h.Set("x-ratelimit-remaining-requests", state.remaining)
		h.Set("x-ratelimit-reset-requests", state.reset)
		if got := w.limits(h, time.Now()); got.requests != 50 {
			t.Errorf("answer %d: %+v", i, got)
		}
	}
}

// FuzzAnnouncedLimits reads an endpoint's headers: a limit is a positive number or absent.
func FuzzAnnouncedLimits(f *testing.F) {
	f.Add("60", "59", "1s")
	f.Add("-1", "", "")
	f.Add("99999999999999999999", "1e300", "-5")
	f.Add("100;w=60", "NaN", "2026-12-01T10:00:00Z")
	f.Fuzz(func(t *testing.T, limit, remaining, reset string) {
		h := http.Header{}
		for _, unit := range []string{"requests", "tokens"} {
			h.Set("x-ratelimit-limit-"+unit, limit)
			h.Set("x-ratelimit-remaining-"+unit, remaining)
			h.Set("x-ratelimit-reset-"+unit, reset)
		}
		h.Set("RateLimit-Policy", limit)
		var w windows
		if l := w.limits(h, time.Unix(1796119200, 0)); l.requests < 0 || l.tokens < 0 {
			t.Errorf("announced %+v", l)
		}
	})
}

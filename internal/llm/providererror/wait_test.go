package providererror

import (
	"net/http"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		header  map[string]string
		message string
		want    time.Duration
	}{
		{"nothing", nil, "", 0},
		{"seconds", map[string]string{"Retry-After": "5"}, "", 5 * time.Second},
		{"fractions", map[string]string{"Retry-After": "0.25"}, "", 250 * time.Millisecond},
		{"zero falls through", map[string]string{"Retry-After": "0"}, "Please try again in 2s.", 2 * time.Second},
		{"negative", map[string]string{"Retry-After": "-3"}, "", 0},
		{"a day is kept", map[string]string{"Retry-After": "86400"}, "", 24 * time.Hour},
		{"more is cut", map[string]string{"Retry-After": "1e300"}, "", MaxWait},
		{"NaN", map[string]string{"Retry-After": "NaN"}, "", 0},
		{"garbage", map[string]string{"Retry-After": "soon", "retry-after-ms": "x"}, "", 0},
		{"date by our clock", map[string]string{"Retry-After": "Mon, 02 Mar 2026 10:01:00 GMT"}, "", time.Minute},
		{"date by the server's clock", map[string]string{"Date": "Mon, 02 Mar 2026 09:59:00 GMT", "Retry-After": "Mon, 02 Mar 2026 10:01:00 GMT"}, "", 2 * time.Minute},
		{"date in the past", map[string]string{"Retry-After": "Mon, 02 Mar 2026 09:00:00 GMT"}, "", 0},
		{"reset of what is used up", map[string]string{"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1h"}, "", 6 * time.Minute},
		{"reset without remaining", map[string]string{"x-ratelimit-reset-tokens": "1.5s"}, "", 1500 * time.Millisecond},
		{"Azure's spelling", map[string]string{"x-rate-limit-reset-tokens": "55"}, "", 55 * time.Second},
		{"Azure's -1 and 0", map[string]string{"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"}, "", 0},
		{"message with minutes", nil, "Please try again in 1m12.5s. Visit", 72500 * time.Millisecond},
		{"message of Azure", nil, "Please retry after 45 seconds. Please", 45 * time.Second},
		{"message, one second", nil, "Please retry after 1 second.", time.Second},
		{"message without a time", nil, "please try again later", 0},
		{"retry-after-ms goes first", map[string]string{"Retry-After": "1", "retry-after-ms": "250"}, "", 250 * time.Millisecond},
		{"Retry-After as a duration", map[string]string{"Retry-After": "2m30s"}, "", 150 * time.Second},
		{"reset at a second since 1970", map[string]string{"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1772445630"}, "", 30 * time.Second},
		{"reset at a millisecond since 1970", map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1772445630000"}, "", 30 * time.Second},
		{"reset at a time, Anthropic", map[string]string{"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-03-02T10:00:42Z"}, "", 42 * time.Second},
		{"a day's limit that is not used up", map[string]string{"x-ratelimit-remaining-requests-day": "12", "x-ratelimit-reset-requests-day": "36000", "x-ratelimit-remaining-requests-minute": "0", "x-ratelimit-reset-requests-minute": "12.5"}, "", 12500 * time.Millisecond},
		{"seconds, GitHub", nil, "Rate limit of 150 per 86400s exceeded for UserByModelByDay. Please wait 83240 seconds before retrying.", 83240 * time.Second},
		{"hours", nil, "Sorry, you've hit a rate limit. Please try again in 58 hours.", 58 * time.Hour},
		{"hours and minutes", nil, "You have used all requests. Please wait 8 hours 24 minutes.", 8*time.Hour + 24*time.Minute},
		{"hours and minutes with and", nil, "Please retry after 1 hour and 30 minutes", 90 * time.Minute},
		{"days", nil, "Your quota resets in 3 days.", 72 * time.Hour},
		{"the wait goes first", nil, "In 20 seconds, please retry.", 20 * time.Second},
		{"short units", nil, "limit reached, wait 45s", 45 * time.Second},
		{"Chinese", nil, "请求过于频繁，请 30 秒后重试", 30 * time.Second},
		{"a date with a time", nil, "You will regain access on 2026-04-01 at 00:00 UTC.", 29*24*time.Hour + 14*time.Hour},
		{"a date with a zone", nil, "Quota renews 2026-03-02T13:00:00+02:00.", time.Hour},
		{"a date that has passed", nil, "You will regain access on 2026-03-01 at 00:00 UTC.", 0},
		{"a date of something else", nil, "Model gpt-4o-2026-05-13 is busy.", 0},
		{"a limit is no wait", nil, "Limit of 20 requests per 60 s exceeded.", 0},
	}
	for _, tt := range tests {
		h := http.Header{}
		for k, v := range tt.header {
			h.Set(k, v)
		}
		if got := Wait(h, Error{Message: tt.message}, now); got.Round(time.Microsecond) != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

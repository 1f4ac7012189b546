package llm

import (
	"testing"
	"time"
)

func TestQuotas(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		wait    time.Duration // that the endpoint asks for
		message string
		quota   string
		until   time.Duration // from now; 0: unknown
	}{
		"of a minute":                  {wait: 20 * time.Second, message: "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29937, Requested 385."},
		"no words":                     {wait: 10 * time.Second, message: "slow down"},
		"a long wait":                  {wait: 24 * time.Hour, message: "Rate limit", quota: "requests", until: 24 * time.Hour},
		"a day and a wait":             {wait: 23 * time.Minute, message: "on tokens per day (TPD): Limit 100000, Used 99926, Requested 1739", quota: "tokens per day", until: 23 * time.Minute},
		"a day that refills":           {wait: 8640 * time.Millisecond, message: "on requests per day (RPD): Limit 10000, Used 10000, Requested 1."},
		"a short wait is not true":     {wait: 5 * time.Second, message: "on requests per day (RPD): Limit 200, Used 200, Requested 1.", quota: "requests per day"},
		"a day without a wait":         {message: "Rate limit exceeded: free-models-per-day. Add 10 credits", quota: "requests per day"},
		"a month":                      {message: "You are using a Trial key, which is limited to 1000 API calls / month.", quota: "requests per month"},
		"a day in seconds":             {wait: 83240 * time.Second, message: "Rate limit of 150 per 86400s exceeded for UserByModelByDay.", quota: "requests per day", until: 83240 * time.Second},
		"three hours in seconds":       {message: "Rate limit of 50 per 10800s exceeded.", quota: "requests per 3h"},
		"a quota's id":                 {wait: 2 * time.Second, message: "GenerateRequestsPerDayPerProjectPerModel-FreeTier", quota: "requests per day"},
		"a word that has day in it":    {wait: 2 * time.Second, message: "Please wait, the birthday of the rate limiter is on Monday."},
		"seconds of less than an hour": {wait: 2 * time.Second, message: "Rate limit of 50 per 1800s exceeded."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &Error{Class: RateLimited, RetryAfter: tt.wait, Message: adviceRateLimited + ": " + tt.message}
			classifier{now: now}.quota(e, providerError{Message: tt.message, found: true})
			if (e.Class == Quota) != (tt.quota != "") || e.Quota != tt.quota {
				t.Fatalf("class %s, quota %q, want %q", e.Class, e.Quota, tt.quota)
			}
			if tt.quota == "" {
				return
			}
			if want := now.Add(tt.until); tt.until > 0 && !e.Until.Equal(want) || tt.until == 0 && !e.Until.IsZero() {
				t.Errorf("until %s, want %s", e.Until, want)
			}
		})
	}
}

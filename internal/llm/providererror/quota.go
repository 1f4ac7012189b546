package providererror

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	day   = 24 * time.Hour
	week  = 7 * day
	month = 30 * day
	// leastQuota is the shortest window of a quota. Shorter limits are rate limits.
	leastQuota = time.Hour
)

// Quota is a limit of a longer time than a minute.
type Quota struct {
	Name   string        // "requests per day"
	Window time.Duration // after which it renews, at the latest
	// Reset is when it renews if the provider documents that; zero if not.
	Reset time.Time
}

var (
	// windows matches the window of a limit in words. Sources:
	//   - OpenAI and Groq: "on requests per day (RPD)", "on tokens per day (TPD)"
	//   - Gemini: quotaId "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
	//   - OpenRouter: "free-models-per-day" (openclaude issue 936), limit_source
	//     "openrouter_free_tier_daily" (atlas pull request 543)
	//   - GitHub Models: "UserByModelByDay"
	//   - Hugging Face: "You have exceeded your monthly included credits"
	//   - Cohere: "limited to 1000 API calls / month"
	windows = regexp.MustCompile(`(?i)(?:\b|[-_ ]|[a-z])(?:per|by|a|an|each|every|/)[-_ ]?(second|sec|minute|min|hour|day|week|month)(?:s?\b|per|[-_])|` +
		`(?:/ ?)(second|sec|minute|min|hour|day|week|month)\b|\b(r|t)p(s|m|h|d)\b|(?:\b|_)(hourly|daily|weekly|monthly)(?:\b|_)|(day|week|month)'s\b|\b(?:for|of) the (day|week|month)\b|每(秒|分钟|小时|天|日|周|月)|今(日|天)|当(日|天|月)`)
	// windowSeconds matches the window of a limit in seconds: GitHub Models "Rate limit of 150 per
	// 86400s exceeded".
	windowSeconds = regexp.MustCompile(`(?i)\b(?:per|in|/|every) ?(\d{1,8}) ?(?:s|sec|seconds?)\b`)
	ofTokens      = regexp.MustCompile(`(?i)tokens?|\btp[mhd]\b`)
	ofCredits     = regexp.MustCompile(`(?i)credits|neurons|spend|budget`)
)

// unitOf returns the length of a named window.
func unitOf(word string) time.Duration {
	switch strings.ToLower(word) {
	case "hour", "h", "hourly", "小时":
		return time.Hour
	case "day", "d", "daily", "天", "日":
		return day
	case "week", "weekly", "周":
		return week
	case "month", "monthly", "月":
		return month
	}
	return time.Minute
}

// LongQuota returns the quota that an error names, and false if it names none, or one of less than
// an hour. If a message names several windows, the first counts: what follows is advice ("Add 10
// credits to unlock 1000 free model requests per day").
func (e Error) LongQuota(now time.Time) (Quota, bool) {
	var q Quota
	for _, v := range e.Quotas {
		if w := window(v.ID); w > q.Window {
			q = Quota{Name: name(v.ID, w), Window: w}
			if w == day {
				q.Reset = midnightPacific(now)
			}
		}
	}
	if q.Window == 0 {
		for _, said := range append([]string{e.Message}, e.Codes...) {
			if w := window(said); w > 0 {
				q = Quota{Name: name(said, w), Window: w}
				break
			}
		}
	}
	return q, q.Window >= leastQuota
}

// midnightPacific returns the time at which Gemini's quotas of a day reset: midnight Pacific time
// (https://ai.google.dev/gemini-api/docs/rate-limits). In summer the result is an hour later.
func midnightPacific(now time.Time) time.Time {
	pacific := now.In(time.FixedZone("PST", -8*3600))
	return time.Date(pacific.Year(), pacific.Month(), pacific.Day()+1, 0, 1, 0, 0, pacific.Location()).UTC()
}

// window returns the first window that a text names, 0 if none.
func window(said string) time.Duration {
	at := -1
	var found time.Duration
	if m := windows.FindStringSubmatchIndex(said); m != nil {
		at = m[0]
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 { // the last group is the unit of RPD
				found = unitOf(said[m[i]:m[i+1]])
			}
		}
	}
	if m := windowSeconds.FindStringSubmatchIndex(said); m != nil && (at < 0 || m[0] < at) {
		n, _ := strconv.Atoi(said[m[2]:m[3]])
		found = time.Duration(n) * time.Second
	}
	return found
}

// name names a quota from the words around its window.
func name(said string, w time.Duration) string {
	at := windows.FindStringIndex(said)
	near := said
	if at != nil {
		after, _, _ := strings.Cut(said[at[1]:min(len(said), at[1]+20)], ".")
		near = said[max(0, at[0]-30):at[1]] + after
	}
	what := "requests"
	switch {
	case ofCredits.MatchString(near):
		what = "credits"
	case ofTokens.MatchString(near):
		what = "tokens"
	}
	return what + " per " + windowName(w)
}

func windowName(d time.Duration) string {
	switch {
	case d >= 28*day && d <= 31*day:
		return "month"
	case d == week:
		return "week"
	case d == day:
		return "day"
	case d == time.Hour:
		return "hour"
	case d%time.Hour == 0:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}

// account matches OpenAI's and Groq's account of a limit: "Limit 100000, Used 99926, Requested
// 1739."
var account = regexp.MustCompile(`(?i)\blimit:? ([\d,]+),? used:? ([\d,]+),? requested:? ([\d,]+)`)

// Refills reports whether a wait is that of a quota that refills continuously. OpenAI and Groq have
// such ones: 1,739 tokens of 100,000 a day, of which 99,926 are used, are there after (99,926 +
// 1,739 - 100,000) / 100,000 of a day, which is the wait that they name.
func (e Error) Refills(q Quota, wait time.Duration) bool {
	m := account.FindStringSubmatch(e.Message)
	if m == nil || wait <= 0 {
		return false
	}
	var n [3]float64
	for i := range n {
		n[i], _ = strconv.ParseFloat(strings.ReplaceAll(m[i+1], ",", ""), 64)
	}
	if n[0] <= 0 {
		return false
	}
	wanted := (n[1] + n[2] - n[0]) / n[0] * q.Window.Seconds()
	return wanted > 0 && wait.Seconds() >= 0.8*wanted-1 && wait.Seconds() <= 1.2*wanted+1
}

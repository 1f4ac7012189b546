package llm

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// longWait is the wait from which a limit counts as a quota, whatever the endpoint calls it. The
// limits of a minute reset within two.
const longWait = 5 * time.Minute

// quota makes e, which is of class RateLimited, the error of a quota if the endpoint says that one
// is used up. A short wait beside a quota of a day or longer is not believed, because Gemini sends
// "Please retry in 5s" with a quota of a day (google-gemini/gemini-cli issue 8437), unless it is
// that of a quota that refills continuously.
func (c classifier) quota(e *Error, p providerError) {
	name, window := quotaNamed(p)
	wait := e.RetryAfter
	switch {
	case window == 0 && wait < longWait, window > 0 && wait > 0 && wait < longWait && refills(p.Message, window, wait):
		return
	case window > 0 && wait < longWait:
		wait = 0
	}
	e.Class, e.Quota, e.RetryAfter = Quota, name, wait
	if e.Quota == "" {
		e.Quota = "requests"
	}
	if wait > 0 {
		e.Until = c.now.Add(wait)
	}
	e.Message = "a quota is used up" + strings.TrimPrefix(e.Message, adviceRateLimited)
}

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// quotaWords are the words by which endpoints name a quota of a day or longer. The first that is
// found decides. Sources:
//   - OpenAI and Groq: "on requests per day (RPD)", "on tokens per day (TPD)"
//   - Gemini: quotaId "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
//   - OpenRouter: "Rate limit exceeded: free-models-per-day"
//   - GitHub Models: "UserByModelByDay"
//   - Cloudflare Workers AI: "you have used up your daily free allocation of 10,000 neurons"
//   - Cohere: "limited to 1000 API calls / month"
var quotaWords = regexp.MustCompile(`(?i)\b(requests|tokens|calls|images)?[ -]?(?:(?:per|a|each|/)[ -]?(day|week|month)\b|perday|permonth|byday|bymonth)|` +
	`per(?:project)?(day|week|month)|by(day|week|month)\b|\b(rpd|tpd)\b|\b(daily|weekly|monthly)\b|/ ?(day|week|month)\b`)

// quotaSeconds matches the window of a limit in seconds, as GitHub Models has it: "Rate limit of
// 150 per 86400s exceeded".
var quotaSeconds = regexp.MustCompile(`(?i)\bper (\d{4,8}) ?s(?:ec(?:ond)?s?)?\b`)

// quotaNamed returns the quota that an error names, and the time after which it resets; 0 if the
// error names none that is longer than an hour.
func quotaNamed(p providerError) (name string, window time.Duration) {
	said := strings.Join([]string{p.Code, p.Type, p.Message}, " ")
	if m := quotaSeconds.FindStringSubmatch(said); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n >= 3600 {
			return "requests per " + windowName(time.Duration(n)*time.Second), time.Duration(n) * time.Second
		}
	}
	found := quotaWords.FindString(said)
	if found == "" {
		return "", 0
	}
	lower := strings.ToLower(found)
	window = day
	switch {
	case strings.Contains(lower, "month"):
		window = month
	case strings.Contains(lower, "week"):
		window = 7 * day
	}
	what := "requests"
	if strings.Contains(lower, "token") || strings.Contains(lower, "tpd") || strings.Contains(strings.ToLower(said), "tokensper") {
		what = "tokens"
	}
	return what + " per " + windowName(window), window
}

func windowName(d time.Duration) string {
	switch {
	case d >= 28*day && d <= 31*day:
		return "month"
	case d == 7*day:
		return "week"
	case d == day:
		return "day"
	case d == time.Hour:
		return "hour"
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

// limitUsed matches OpenAI's and Groq's account of a limit: "Limit 100000, Used 99926, Requested
// 1739."
var limitUsed = regexp.MustCompile(`(?i)\blimit:? ([\d,]+),? used:? ([\d,]+),? requested:? ([\d,]+)`)

// refills reports whether a wait is that of a quota that refills continuously. OpenAI and Groq
// have such ones: 1,739 tokens of 100,000 a day, of which 99,926 are used, are there after (99,926
// + 1,739 - 100,000) / 100,000 of a day, which is the wait that they name.
func refills(message string, window, wait time.Duration) bool {
	m := limitUsed.FindStringSubmatch(message)
	if m == nil {
		return false
	}
	var n [3]float64
	for i := range n {
		n[i], _ = strconv.ParseFloat(strings.ReplaceAll(m[i+1], ",", ""), 64)
	}
	if n[0] <= 0 {
		return false
	}
	wanted := (n[1] + n[2] - n[0]) / n[0] * window.Seconds()
	return wanted > 0 && wait.Seconds() >= 0.8*wanted-1 && wait.Seconds() <= 1.2*wanted+1
}

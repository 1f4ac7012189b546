package providererror

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxWait caps the wait that an endpoint asks for: a month. A wrong clock can ask for more.
	MaxWait = 31 * day
	// earliestEpoch is the number of seconds from which a number in a reset header is a time and no
	// duration. It is in 2001, and as a duration it is 31 years.
	earliestEpoch = 1e9
)

// Wait returns the wait that an endpoint asks for, or 0. Sources, in this order: retry-after-ms
// (Azure, OpenAI), Retry-After in seconds or as a date (RFC 9110, section 10.2.3), the same in the
// body, the reset headers of limits that are used up, the message.
func Wait(h http.Header, e Error, now time.Time) time.Duration {
	// The server's own clock, if it sends it, takes precedence over ours.
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	for _, headers := range []http.Header{h, e.Header} {
		if ms, err := strconv.ParseFloat(strings.TrimSpace(headers.Get("retry-after-ms")), 64); err == nil && ms > 0 {
			return clamp(ms / 1000)
		}
		if d := TimeLeft(headers.Get("Retry-After"), now); d > 0 {
			return d
		}
	}
	if d := max(resets(h, now), resets(e.Header, now)); d > 0 {
		return d
	}
	return waitNamed(e.Message, now)
}

// resets returns the longest time until a limit that is used up resets: one whose "remaining"
// header is 0, or that has none. OpenAI, Azure and Groq have x-ratelimit-reset-requests: 6m0s,
// Azure also x-rate-limit-… (openai-python issue 937), Cerebras and Mistral a unit at the end,
// Anthropic anthropic-ratelimit-tokens-reset with a time, OpenRouter X-RateLimit-Reset in
// milliseconds since 1970. Azure sends -1 and 0 for a limit that does not apply (openai-dotnet
// issue 838).
func resets(h http.Header, now time.Time) time.Duration {
	remaining := map[string]string{}
	for name := range h {
		if key := limitName(name); strings.Contains(key, "remaining") {
			remaining[strings.Replace(key, "remaining", "", 1)] = strings.TrimSpace(h.Get(name))
		}
	}
	var longest time.Duration
	for name := range h {
		key := limitName(name)
		if !strings.Contains(key, "reset") {
			continue
		}
		if left, err := strconv.ParseFloat(remaining[strings.Replace(key, "reset", "", 1)], 64); err == nil && left != 0 {
			continue
		}
		longest = max(longest, TimeLeft(h.Get(name), now))
	}
	return longest
}

// limitName returns the name of a limit's header in lower case without hyphens, or "".
func limitName(header string) string {
	name := strings.ReplaceAll(strings.ToLower(header), "-", "")
	if !strings.Contains(name, "ratelimit") {
		return ""
	}
	return name
}

// TimeLeft parses a duration ("6m0s", "644ms", "12.5 seconds", "30"), or a time as a date or in
// seconds or milliseconds since 1970. It returns the time from now on; 0 for other text.
func TimeLeft(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n >= 1e3*earliestEpoch:
			return clamp(n/1e3 - float64(now.UnixMilli())/1e3)
		case n >= earliestEpoch:
			return clamp(n - float64(now.UnixMilli())/1e3)
		}
		return clamp(n)
	}
	if at, err := http.ParseTime(s); err == nil {
		return clamp(at.Sub(now).Seconds())
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return clamp(at.Sub(now).Seconds())
	}
	return parseDuration(s)
}

const amount = `\d+(?:[.,]\d+)?\s?(?:milliseconds?|millis|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)\b`

var (
	oneAmount = regexp.MustCompile(`(?i)(\d+(?:[.,]\d+)?)\s?(milliseconds?|millis|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)`)
	wholeWait = regexp.MustCompile(`(?i)^(?:\d+(?:[.,]\d+)?\s?(?:milliseconds?|millis|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)[\s,]*(?:and\s+)?)+$`)
	// tryAgain matches a wait that only the message names: OpenAI "Please try again in 644ms.", "in
	// 1m12.5s"; Azure "Please retry after 33 seconds."; Gemini "Please retry in 12.3s."; GitHub
	// "Please wait 83240 seconds before retrying", "wait 8 hours 24 minutes"; "resets in 3 days".
	tryAgain = regexp.MustCompile(`(?i)\b(?:try(?:ing)? (?:your request |it |this )?(?:again|later)|retry(?:ing)?|retries|wait(?:ing)?|again|resets?|resetting|renews?|refresh(?:es)?|resumes?|available|recovers?|refills?|unblocked|unlocked|back)\b` +
		`[^.!?\d]{0,40}?(?:\b(?:in|after|for|within|about|approximately|at least|another|of|is|:)|\bwait)?[\s:~≈]*((?:(?:` + `\d+(?:[.,]\d+)?\s?(?:milliseconds?|millis|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w)` + `)(?:\s*(?:,|and)?\s*))+)`)
	// before matches "after 30 seconds you can try again", "in 20 s, please retry".
	before = regexp.MustCompile(`(?i)\b(?:in|after|for|within)\s+((?:` + amount + `\s*(?:,|and)?\s*)+)[^.!?]{0,40}\b(?:try|retry|again|resume|reset)`)
	// chinese matches "请 30 秒后重试".
	chinese = regexp.MustCompile(`(\d+(?:\.\d+)?)\s*(毫秒|秒钟?|分钟?|小时|天)\s*(?:之?后|以后|再)`)
	dated   = regexp.MustCompile(`(?i)\b(\d{4}-\d{2}-\d{2})(?:(?:T|,? at |,? )(\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?)?\s?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?`)
	renewal = regexp.MustCompile(`(?i)\b(?:regain|access|resets?|renews?|available|again|retry|until|resumes?|unlock|unblocked|quota|limits?|refresh)`)
)

// waitNamed returns the wait that a message names, or 0.
func waitNamed(message string, now time.Time) time.Duration {
	for _, r := range []*regexp.Regexp{tryAgain, before} {
		if m := r.FindStringSubmatch(message); m != nil {
			if d := parseDuration(m[1]); d > 0 {
				return d
			}
		}
	}
	if m := chinese.FindStringSubmatch(message); m != nil {
		unit := map[string]string{"毫秒": "ms", "秒": "s", "秒钟": "s", "分": "m", "分钟": "m", "小时": "h", "天": "d"}[m[2]]
		return parseDuration(m[1] + unit)
	}
	for _, m := range dated.FindAllStringSubmatch(message, 4) {
		if !renewal.MatchString(message) {
			break
		}
		clock := m[2]
		switch len(clock) {
		case 0:
			clock = "00:00:00"
		case len("15:04"):
			clock += ":00"
		}
		zone := strings.ReplaceAll(m[3], ":", "")
		if strings.IndexAny(zone, "+-") != 0 {
			zone = "+0000"
		}
		if at, err := time.Parse("2006-01-02 15:04:05-0700", m[1]+" "+clock+zone); err == nil && at.After(now) {
			return clamp(at.Sub(now).Seconds())
		}
	}
	return 0
}

// parseDuration parses a sum of amounts with units, such as "1m12.5s" or "8 hours 24 minutes". It
// returns 0 for other text.
func parseDuration(s string) time.Duration {
	s = strings.TrimSpace(s)
	if !wholeWait.MatchString(s + " ") {
		return 0
	}
	var seconds float64
	for _, m := range oneAmount.FindAllStringSubmatch(s, 8) {
		n, err := strconv.ParseFloat(strings.ReplaceAll(m[1], ",", "."), 64)
		if err != nil {
			return 0
		}
		unit := strings.ToLower(m[2])
		switch {
		case strings.HasPrefix(unit, "ms"), strings.HasPrefix(unit, "mil"):
			n /= 1000
		case unit[0] == 'm':
			n *= 60
		case unit[0] == 'h':
			n *= 3600
		case unit[0] == 'd':
			n *= 86400
		case unit[0] == 'w':
			n *= 7 * 86400
		}
		seconds += n
	}
	return clamp(seconds)
}

func clamp(seconds float64) time.Duration {
	if math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, MaxWait.Seconds()) * float64(time.Second))
}

package llm

import (
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter caps the wait that an endpoint asks for. Azure's free tier asks for a day; a
// wrong clock can ask for more.
const maxRetryAfter = 24 * time.Hour

// tryAgain matches a wait that only the message names: OpenAI "Please try again in 644ms.",
// "in 1m12.5s"; Azure "Please retry after 33 seconds."; Gemini "Please retry in 12.3s.".
var tryAgain = regexp.MustCompile(`(?i)(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?\s?(?:milliseconds?|seconds?|minutes?|hours?|ms|s|m|h)\s?)+)`)

// retryAfter returns the wait that the endpoint asks for, or 0. Sources, in this order:
// retry-after-ms (Azure, OpenAI), Retry-After in seconds or as a date (RFC 9110, section 10.2.3),
// x-ratelimit-reset-* of a limit that is used up, the message.
func retryAfter(h http.Header, message string, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(h.Get("retry-after-ms")), 64); err == nil && ms > 0 {
		return clampWait(ms / 1000)
	}
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil {
			if s > 0 {
				return clampWait(s)
			}
		} else if at, err := http.ParseTime(v); err == nil {
			// The server's own clock, if it sends it, takes precedence over ours.
			if date, err := http.ParseTime(h.Get("Date")); err == nil {
				now = date
			}
			if d := at.Sub(now); d > 0 {
				return clampWait(d.Seconds())
			}
		}
	}
	if d := resetAfter(h); d > 0 {
		return d
	}
	if m := tryAgain.FindStringSubmatch(message); m != nil {
		return parseWait(m[1])
	}
	return 0
}

// resetAfter returns the time until a limit that is used up resets. A limit is used up if its
// "remaining" header is 0, or if there is a "reset" header without "remaining".
func resetAfter(h http.Header) time.Duration {
	var longest time.Duration
	for _, what := range []string{"requests", "tokens"} {
		// Azure also spells it x-rate-limit-reset-tokens (openai-python issue 937), and sends -1 and
		// 0 for a limit that does not apply (openai-dotnet issue 838).
		reset := h.Get("x-ratelimit-reset-" + what)
		if reset == "" {
			reset = h.Get("x-rate-limit-reset-" + what)
		}
		remaining := strings.TrimSpace(h.Get("x-ratelimit-remaining-" + what))
		if n, err := strconv.Atoi(remaining); err == nil && n != 0 {
			continue
		}
		longest = max(longest, parseWait(reset))
	}
	return longest
}

// parseWait parses "6m0s", "644ms", "12.5 seconds", or a number of seconds. It returns 0 for
// other text.
func parseWait(s string) time.Duration {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return clampWait(n)
	}
	s = strings.NewReplacer(
		"milliseconds", "ms", "millisecond", "ms",
		"seconds", "s", "second", "s",
		"minutes", "m", "minute", "m",
		"hours", "h", "hour", "h",
		" ", "",
	).Replace(s)
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return clampWait(d.Seconds())
}

func clampWait(seconds float64) time.Duration {
	if math.IsNaN(seconds) || seconds <= 0 {
		return 0
	}
	if seconds >= maxRetryAfter.Seconds() {
		return maxRetryAfter
	}
	return time.Duration(seconds * float64(time.Second))
}

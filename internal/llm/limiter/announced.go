package limiter

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gistmill/gistmill/internal/llm/providererror"
)

// limitsPerMinute are limits that an endpoint announces; 0 means that it announces none.
type limitsPerMinute struct{ requests, tokens int }

// announcement is what the headers of an answer show for one limit.
type announcement struct {
	kind
	limit     float64
	remaining float64       // -1: not named
	reset     time.Duration // 0: not named
	rounded   bool          // reset is in whole seconds
}

const (
	// longestWindow is the longest window of a limit that paces calls. Quotas of hours and days may
	// be used at any speed.
	longestWindow = 2 * time.Minute
	// mostAnnounced is more than any limit. Larger numbers are no limits.
	mostAnnounced = 1e12
	day           = 24 * time.Hour
)

// windows are the time windows of announced limits. Most headers do not name theirs, so it follows
// from what remains and when that resets. The zero value is ready, and safe for concurrent use.
type windows struct {
	mu      sync.Mutex
	longest map[announcement]time.Duration // reset that was seen of a limit
}

// limits returns the limits that the headers of an answer announce, the smallest per minute of each
// kind. A missing header is not a limit of 0; Azure sends 0 and -1 for a limit that does not apply
// (openai-dotnet issue 838).
func (w *windows) limits(h http.Header, now time.Time) limitsPerMinute {
	var found, input limitsPerMinute
	least := func(to *int, perMinute float64) {
		if n := int(max(1, perMinute)); *to == 0 || n < *to {
			*to = n
		}
	}
	for _, a := range announcements(h, now) {
		window := w.of(a)
		if window == 0 || window > longestWindow {
			continue
		}
		perMinute := min(a.limit*time.Minute.Seconds()/window.Seconds(), mostAnnounced)
		switch {
		case a.inputOnly:
			least(&input.tokens, perMinute)
		case a.tokens:
			least(&found.tokens, perMinute)
		default:
			least(&found.requests, perMinute)
		}
	}
	if found.tokens == 0 {
		found.tokens = input.tokens
	}
	return found
}

// of returns the window of a limit: the one that its header names, or one of these:
//
//   - A bucket that is refilled evenly is full again at the reset (OpenAI, Anthropic, Groq). The
//     part that was used, and the time to the reset, give its window.
//   - A window that starts again ends at the reset. It is at least as long as the longest time to a
//     reset that was seen.
//
// Without a reset it is a minute if the header names what it counts, as those of OpenAI do. Else it
// is unknown: 0.
func (w *windows) of(a announcement) time.Duration {
	if a.window > 0 {
		return a.window
	}
	if a.reset <= 0 {
		if a.named {
			return time.Minute
		}
		return 0
	}
	if used := a.limit - a.remaining; a.remaining >= 0 && used > 0 {
		refill := func(reset time.Duration) float64 { return reset.Seconds() * a.limit / used }
		most, least := refill(a.reset), refill(a.reset)
		if a.rounded {
			least = refill(max(0, a.reset-time.Second))
		}
		// Small numbers are rounded: Groq's example has 18000 tokens, 3 used, and 7.66 ms.
		if minute := time.Minute.Seconds(); least <= 2*minute && most >= minute/2 {
			return time.Minute
		}
		for _, round := range []time.Duration{time.Hour, day} {
			if least <= 1.02*round.Seconds() && most >= 0.98*round.Seconds() {
				return round
			}
		}
	}
	longest := w.see(a)
	for _, round := range []time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour, day} {
		if longest <= round+round/20 {
			return round
		}
	}
	return longest
}

// see notes the reset of a limit, and returns the longest one.
func (w *windows) see(a announcement) time.Duration {
	key := announcement{kind: a.kind, limit: a.limit}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.longest == nil {
		w.longest = map[announcement]time.Duration{}
	}
	w.longest[key] = max(w.longest[key], a.reset)
	return w.longest[key]
}

// announcements reads the limits in the headers of an answer. Makers agree on the word "ratelimit",
// and put the others around it in any order:
//
//	x-ratelimit-limit-requests, -remaining-, -reset-      OpenAI, Azure, Groq, vLLM gateways
//	x-rate-limit-limit-tokens                             Azure (openai-python issue 937)
//	x-ratelimit-limit-req-minute, -tokens-month           Mistral
//	x-ratelimit-limit-requests-day, -tokens-minute        Cerebras
//	anthropic-ratelimit-input-tokens-limit                Anthropic
//	x-ratelimit-limit, X-RateLimit-Reset                  Together, OpenRouter
//	ratelimitbysize-limit                                 Mistral before 2025, in tokens
//	RateLimit-Limit: 100;w=60                             IETF drafts
//	RateLimit-Policy: "default";q=100;w=60                (draft-ietf-httpapi-ratelimit-headers)
//
// Limits of other things, such as images or output tokens, are left out.
func announcements(h http.Header, now time.Time) []announcement {
	type parts struct{ limit, remaining, reset string }
	all := map[kind]parts{}
	var found []announcement
	for name, values := range h {
		role, k, ok := words(name)
		if !ok || len(values) == 0 {
			continue
		}
		value := strings.TrimSpace(values[0])
		if role == "policy" {
			found = append(found, policies(value)...)
			continue
		}
		p := all[k]
		switch role {
		case "limit":
			p.limit = value
		case "remaining":
			p.remaining = value
		case "reset":
			p.reset = value
		}
		all[k] = p
	}
	for k, p := range all {
		number, parameters, _ := strings.Cut(p.limit, ";")
		number, _, _ = strings.Cut(number, ",")
		limit, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(limit >= 1 && limit <= mostAnnounced) {
			continue
		}
		a := announcement{kind: k, limit: limit, remaining: -1}
		if seconds := parameter(parameters, "w"); seconds > 0 {
			a.window = time.Duration(seconds * float64(time.Second))
		}
		if n, err := strconv.ParseFloat(p.remaining, 64); err == nil && n >= 0 {
			a.remaining = n
		}
		a.reset = providererror.TimeLeft(p.reset, now)
		a.rounded = !strings.ContainsAny(p.reset, ".µ") && !strings.Contains(p.reset, "ms")
		found = append(found, a)
	}
	return found
}

// kind is what the name of a header shows for a limit.
type kind struct {
	named     bool          // the header names what it counts
	tokens    bool          // that is tokens, else requests
	inputOnly bool          // only those of prompts
	window    time.Duration // 0: not named
}

// words reads the name of a header. Its role is limit, remaining, reset or policy.
func words(header string) (role string, k kind, ok bool) {
	name := strings.ReplaceAll(strings.ToLower(header), "rate-limit", "ratelimit")
	before, after, ok := strings.Cut(name, "ratelimit")
	if !ok {
		return "", k, false
	}
	if before = strings.Trim(before, "-"); before != "" && before != "x" && before != "anthropic" {
		return "", k, false
	}
	if rest, bySize := strings.CutPrefix(after, "bysize"); bySize {
		k.tokens, k.named, after = true, true, rest
	}
	for word := range strings.SplitSeq(strings.Trim(after, "-"), "-") {
		switch word {
		case "limit", "remaining", "reset", "policy":
			role = word
		case "requests", "request", "req":
			k.named = true
		case "tokens", "token":
			k.tokens, k.named = true, true
		case "input", "prompt":
			k.inputOnly = true
		case "second", "sec", "1s":
			k.window = time.Second
		case "minute", "min", "1m":
			k.window = time.Minute
		case "hour", "1h":
			k.window = time.Hour
		case "day", "1d":
			k.window = day
		case "month":
			k.window = 30 * day
		default:
			return "", k, false
		}
	}
	return role, k, role != ""
}

// policies reads the value of RateLimit-Policy.
func policies(value string) []announcement {
	var all []announcement
	for policy := range strings.SplitSeq(value, ",") {
		limit, seconds := parameter(policy, "q"), parameter(policy, "w")
		if limit >= 1 && limit <= mostAnnounced && seconds > 0 && !strings.Contains(policy, "qu=") {
			all = append(all, announcement{kind: kind{window: time.Duration(seconds * float64(time.Second))}, limit: limit, remaining: -1})
		}
	}
	return all
}

// parameter returns a number among parameters such as "q=100;w=60", or 0.
func parameter(parameters, name string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if n, err := strconv.ParseFloat(value, 64); key == name && err == nil && n > 0 && n < math.MaxInt32 {
			return n
		}
	}
	return 0
}

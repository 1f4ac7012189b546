package llm

import (
	"net/http"
	"strconv"
	"strings"
)

// limitsPerMinute are requests and tokens a minute; 0 is not announced.
type limitsPerMinute struct{ requests, tokens int }

// announcedLimits reads x-ratelimit-limit-requests and -tokens, which OpenAI, Azure and those that imitate them send with
// every answer. Absent is not zero, and Azure's 0 and -1 mean that a limit does not apply (openai-dotnet issue 838). Some
// announce requests a day there (Groq); taken for a minute that is no bound, and the limiter learns the rate.
func announcedLimits(h http.Header) limitsPerMinute {
	return limitsPerMinute{announcedLimit(h, "requests"), announcedLimit(h, "tokens")}
}

func announcedLimit(h http.Header, what string) int {
	text := h.Get("x-ratelimit-limit-" + what)
	if text == "" {
		text = h.Get("x-rate-limit-limit-" + what)
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

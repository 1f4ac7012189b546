package fakellm

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limits admits calls by requests and tokens, both charged before the answer is
// made and never refunded, as providers do it.
type limits struct {
	mu       sync.Mutex
	requests meter
	tokens   meter
}

// A meter is one limit. A bucket fills continuously up to what one period
// brings, and starts full; a window is full again when a new period begins.
type meter struct {
	left float64
	at   time.Time // of the last filling; zero before the first
}

func (m *meter) fill(perMinute float64, c *Config, now time.Time) (capacity float64) {
	period := time.Duration(c.LimitPeriod)
	capacity = perMinute * period.Minutes()
	switch {
	case m.at.IsZero() || m.left > capacity:
		m.left, m.at = capacity, now
		if c.LimitMode == "window" {
			m.at = now.Truncate(period)
		}
	case c.LimitMode == "window":
		if start := now.Truncate(period); start.After(m.at) {
			m.left, m.at = capacity, start
		}
	default:
		m.left = min(capacity, m.left+perMinute*now.Sub(m.at).Minutes())
		m.at = now
	}
	return capacity
}

// until is how long it takes until n are there.
func (m *meter) until(n, perMinute float64, c *Config, now time.Time) time.Duration {
	if m.left >= n {
		return 0
	}
	if c.LimitMode == "window" {
		return m.at.Add(time.Duration(c.LimitPeriod)).Sub(now)
	}
	return time.Duration((n - m.left) / perMinute * float64(time.Minute))
}

// An admission is what the limits decided, with the headers to tell.
type admission struct {
	ok       bool
	tooLarge bool // more than the limit ever holds
	wait     time.Duration
	which    string // "requests" or "tokens"
	header   [6]string
}

func (l *limits) admit(c *Config, charge int, now time.Time) admission {
	if c.RPM <= 0 && c.TPM <= 0 {
		return admission{ok: true}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var a admission
	var capRequests, capTokens float64
	if c.RPM > 0 {
		capRequests = l.requests.fill(c.RPM, c, now)
		if w := l.requests.until(1, c.RPM, c, now); w > 0 {
			a.wait, a.which = w, "requests"
		}
	}
	if c.TPM > 0 {
		capTokens = l.tokens.fill(c.TPM, c, now)
		if float64(charge) > capTokens {
			a.tooLarge, a.which = true, "tokens"
		} else if w := l.tokens.until(float64(charge), c.TPM, c, now); w > a.wait {
			a.wait, a.which = w, "tokens"
		}
	}
	a.ok = a.which == ""
	if a.ok || c.ChargeRefused {
		l.requests.left = max(0, l.requests.left-1)
		l.tokens.left = max(0, l.tokens.left-float64(charge))
	}
	if c.LimitHeaders != "none" {
		if c.RPM > 0 {
			a.header[0] = strconv.Itoa(int(c.RPM))
			a.header[1] = strconv.Itoa(int(l.requests.left))
			a.header[2] = c.resetText(l.requests.until(capRequests, c.RPM, c, now))
		}
		if c.TPM > 0 {
			a.header[3] = strconv.Itoa(int(c.TPM))
			a.header[4] = strconv.Itoa(int(l.tokens.left))
			a.header[5] = c.resetText(l.tokens.until(capTokens, c.TPM, c, now))
		}
	}
	return a
}

func (c *Config) resetText(d time.Duration) string {
	if c.LimitHeaders == "azure" {
		return strconv.Itoa(int(math.Ceil(d.Seconds())))
	}
	return d.Round(time.Millisecond).String()
}

//nolint:gochecknoglobals // a constant; Go has none of this type
var limitHeaderNames = [6]string{
	"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests",
	"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens",
}

func (a admission) writeHeaders(h http.Header) {
	for i, v := range a.header {
		if v != "" {
			h[limitHeaderNames[i]] = []string{v}
		}
	}
}

// writeRetryAfter tells how long to wait, in the form that is set.
func (c *Config) writeRetryAfter(h http.Header, wait time.Duration, now time.Time) {
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	switch c.RetryAfter {
	case "seconds":
		h.Set("Retry-After", seconds)
	case "ms":
		h.Set("Retry-After", seconds)
		h["Retry-After-Ms"] = []string{strconv.Itoa(int(math.Ceil(wait.Seconds() * 1000)))}
	case "date":
		h.Set("Retry-After", now.Add(wait).Add(time.Second-1).UTC().Format(http.TimeFormat))
	}
}

func (a admission) message(c *Config, charge int) string {
	limit, unit := c.RPM, "requests per min (RPM)"
	if a.which == "tokens" {
		limit, unit = c.TPM, "tokens per min (TPM)"
	}
	if a.tooLarge {
		return fmt.Sprintf("Request too large for fake on %s: Limit %.0f, Requested %d. The input or output tokens must be reduced in order to run successfully.", unit, limit, charge)
	}
	if c.RetryAfter == "none" {
		return fmt.Sprintf("Rate limit reached for fake on %s: Limit %.0f.", unit, limit)
	}
	return fmt.Sprintf("Rate limit reached for fake on %s: Limit %.0f. Please try again in %s.", unit, limit, a.wait.Round(time.Millisecond))
}

package fakellm

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limits admits calls by requests and tokens. Both are charged before the answer is made and
// never refunded, as providers do it. It uses the settings set last, also for calls that began
// with earlier ones.
type limits struct {
	mu       sync.Mutex
	requests []meter // each must have room
	tokens   []meter // one or none
	spans    []span
}

// A meter is one limit. A bucket fills continuously up to one period's worth; a window is full
// again when a new period begins.
type meter struct {
	perMinute float64
	period    time.Duration
	window    bool
	left      float64
	at        time.Time // of the last filling, or when the window began
}

// A span is a time in which limits did not change, until the next one begins.
type span struct {
	from             time.Time
	requests, tokens float64 // admissible a second; 0 is unlimited
}

// configure sets new limits. A bucket keeps its level as a share of its size; in a window, what
// was used stays used.
func (l *limits) configure(c *Config, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := span{from: now, tokens: c.TPM / 60}
	var requests, tokens []meter
	window := c.LimitMode == "window"
	if c.RPM > 0 {
		requests = append(requests, meter{perMinute: c.RPM, period: time.Duration(c.LimitPeriod), window: window})
		if len(c.RequestWindows) > 0 {
			requests = requests[:0]
		}
		for _, period := range c.RequestWindows {
			requests = append(requests, meter{perMinute: c.RPM, period: time.Duration(period), window: true})
		}
		for _, m := range requests {
			if rate := m.rate(); next.requests == 0 || rate < next.requests {
				next.requests = rate
			}
		}
	}
	if c.TPM > 0 {
		tokens = append(tokens, meter{perMinute: c.TPM, period: time.Duration(c.LimitPeriod), window: window})
	}
	begin(requests, l.requests, c.LimitStart == "empty", now)
	begin(tokens, l.tokens, c.LimitStart == "empty", now)
	l.requests, l.tokens = requests, tokens
	if n := len(l.spans); n == 0 || l.spans[n-1].requests != next.requests || l.spans[n-1].tokens != next.tokens {
		l.spans = append(l.spans, next)
	}
}

// begin fills new meters from those of the same kind that they replace.
func begin(meters, before []meter, empty bool, now time.Time) {
	for i := range meters {
		m := &meters[i]
		m.at = now
		if m.window {
			m.at = now.Truncate(m.period)
		}
		if i >= len(before) || before[i].window != m.window {
			if !empty {
				m.left = m.capacity()
			}
			continue
		}
		old := before[i]
		old.fill(now)
		if m.window && m.period == old.period {
			m.left = max(0, m.capacity()-(old.capacity()-old.left))
		} else {
			m.left = m.capacity() * old.left / old.capacity()
		}
	}
}

// rate returns what a second admits in the long run: a window has no use for a part of a
// request.
func (m *meter) rate() float64 {
	if !m.window {
		return m.perMinute / 60
	}
	return math.Floor(m.capacity()+slack) / m.period.Seconds()
}

func (m *meter) capacity() float64 { return m.perMinute * m.period.Minutes() }

func (m *meter) fill(now time.Time) {
	if m.window {
		if start := now.Truncate(m.period); start.After(m.at) {
			m.left, m.at = m.capacity(), start
		}
		return
	}
	// The clock is read before the lock is held, so a call may come late.
	if passed := now.Sub(m.at); passed > 0 {
		m.left = min(m.capacity(), m.left+m.perMinute*passed.Minutes())
		m.at = now
	}
}

// slack compensates rounding in sums of fractions that should be whole.
const slack = 1e-6

// until returns the time until n are available.
func (m *meter) until(n float64, now time.Time) time.Duration {
	if m.left >= n-slack {
		return 0
	}
	if m.window {
		return m.at.Add(m.period).Sub(now)
	}
	return time.Duration((n - m.left) / m.perMinute * float64(time.Minute))
}

// An admission is a decision of the limits, with its headers.
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
	for i := range l.requests {
		m := &l.requests[i]
		m.fill(now)
		if w := m.until(1, now); w > a.wait {
			a.wait, a.which = w, "requests"
		}
	}
	for i := range l.tokens {
		m := &l.tokens[i]
		m.fill(now)
		if float64(charge) > m.capacity() {
			a.tooLarge, a.which = true, "tokens"
		} else if w := m.until(float64(charge), now); w > a.wait {
			a.wait, a.which = w, "tokens"
		}
	}
	a.ok = a.which == ""
	if a.ok || c.ChargeRefused {
		take(l.requests, 1)
		take(l.tokens, float64(charge))
	}
	if c.LimitHeaders != "none" {
		copy(a.header[:3], c.headers(c.RPM, l.requests, now))
		copy(a.header[3:], c.headers(c.TPM, l.tokens, now))
	}
	return a
}

func take(meters []meter, n float64) {
	for i := range meters {
		meters[i].left = max(0, meters[i].left-n)
	}
}

// headers are the limit, what is left of it, and the time until it is whole again.
func (c *Config) headers(limit float64, meters []meter, now time.Time) []string {
	if limit <= 0 || len(meters) == 0 {
		return nil
	}
	left, reset := math.Inf(1), time.Duration(0)
	for i := range meters {
		left = min(left, meters[i].left)
		reset = max(reset, meters[i].until(meters[i].capacity(), now))
	}
	return []string{strconv.Itoa(int(limit)), strconv.Itoa(int(left + slack)), c.resetText(reset)}
}

// admissible returns how many requests and tokens the limits admit in a time, beyond what a
// bucket held at its beginning. 0 means that a part of the time had no limit.
func (l *limits) admissible(from, to time.Time) (requests, tokens float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	unlimitedRequests, unlimitedTokens := false, false
	for i, s := range l.spans {
		begin, end := s.from, to
		if i == 0 || begin.Before(from) {
			begin = from // before the first setting there were no calls
		}
		if i+1 < len(l.spans) && l.spans[i+1].from.Before(end) {
			end = l.spans[i+1].from
		}
		if seconds := end.Sub(begin).Seconds(); seconds > 0 {
			requests += s.requests * seconds
			tokens += s.tokens * seconds
			unlimitedRequests = unlimitedRequests || s.requests == 0
			unlimitedTokens = unlimitedTokens || s.tokens == 0
		}
	}
	if unlimitedRequests {
		requests = 0
	}
	if unlimitedTokens {
		tokens = 0
	}
	return requests, tokens
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

// writeRetryAfter writes the time to wait in the configured form.
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

package fakellm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Latency is a distribution of the time to an answer. Its zero value is no latency.
type Latency struct {
	kind string // "", "fixed", "uniform", "lognormal"
	a, b time.Duration
	s    float64
}

// ParseLatency parses "300ms", "uniform:100ms-500ms" and "lognormal:300ms,0.5" (median and
// sigma of the logarithm).
func ParseLatency(text string) (Latency, error) {
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		if text == "" {
			return Latency{}, nil
		}
		d, err := time.ParseDuration(text)
		return Latency{kind: "fixed", a: d}, err
	}
	switch kind {
	case "fixed":
		d, err := time.ParseDuration(rest)
		return Latency{kind: kind, a: d}, err
	case "uniform":
		low, high, ok := strings.Cut(rest, "-")
		a, errA := time.ParseDuration(low)
		b, errB := time.ParseDuration(high)
		if !ok || errA != nil || errB != nil || b < a {
			return Latency{}, fmt.Errorf("latency %q: want uniform:100ms-500ms", text)
		}
		return Latency{kind: kind, a: a, b: b}, nil
	case "lognormal":
		median, sigma, ok := strings.Cut(rest, ",")
		a, errA := time.ParseDuration(median)
		s, errS := strconv.ParseFloat(sigma, 64)
		if !ok || errA != nil || errS != nil || !(s >= 0 && s < 10) {
			return Latency{}, fmt.Errorf("latency %q: want lognormal:300ms,0.5", text)
		}
		return Latency{kind: kind, a: a, s: s}, nil
	}
	return Latency{}, fmt.Errorf("latency %q: want 300ms, uniform:… or lognormal:…", text)
}

func (l Latency) draw(r *rand.Rand) time.Duration {
	switch l.kind {
	case "fixed":
		return l.a
	case "uniform":
		return l.a + time.Duration(r.Float64()*float64(l.b-l.a))
	case "lognormal":
		// A tail of minutes would measure the tail and not the client.
		return min(time.Duration(float64(l.a)*math.Exp(l.s*r.NormFloat64())), 100*l.a)
	}
	return 0
}

// String returns the form that ParseLatency parses.
func (l Latency) String() string {
	switch l.kind {
	case "fixed":
		return l.a.String()
	case "uniform":
		return fmt.Sprintf("uniform:%s-%s", l.a, l.b)
	case "lognormal":
		return fmt.Sprintf("lognormal:%s,%g", l.a, l.s)
	}
	return ""
}

// MarshalText returns String.
func (l Latency) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText calls ParseLatency.
func (l *Latency) UnmarshalText(b []byte) error {
	v, err := ParseLatency(string(b))
	*l = v
	return err
}

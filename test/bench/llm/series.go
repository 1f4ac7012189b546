package main

import (
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// smooth is the time over which a rate is averaged: short enough to see a change, long enough
// that a rate of ten a second is not dominated by chance.
const smooth = 10

// filled adds the seconds without calls to a series.
func filled(seconds []fakellm.Second, from, to int64) []fakellm.Second {
	full := make([]fakellm.Second, max(0, to-from))
	for i := range full {
		full[i].At = from + int64(i)
	}
	for _, s := range seconds {
		if i := s.At - from; i >= 0 && i < int64(len(full)) {
			full[i] = s
		}
	}
	return full
}

func sum(seconds []fakellm.Second) fakellm.Counts {
	var c fakellm.Counts
	for _, s := range seconds {
		c.Calls += s.Calls
		c.Admitted += s.Admitted
		c.Refused += s.Refused
		c.Completed += s.Completed
		c.Charged += s.Charged
	}
	return c
}

// staysWithin returns the time after which no stretch has more calls a second than most,
// refused ones included.
func staysWithin(series []fakellm.Second, most float64) (time.Duration, bool) {
	for i := len(series) - smooth; i >= 0; i-- {
		if float64(sum(series[i:i+smooth]).Calls) > most*smooth {
			return time.Duration(i+1) * time.Second, i < len(series)-smooth
		}
	}
	return 0, len(series) >= smooth
}

// reaches returns the time until the first stretch with at least the given number of admitted
// calls a second, if the rest of the series has the same average. A saved-up bucket makes one
// good stretch, but does not last.
func reaches(series []fakellm.Second, least float64) (time.Duration, bool) {
	enough := func(part []fakellm.Second) bool { return float64(sum(part).Admitted) >= least*float64(len(part)) }
	for i := 0; i+smooth <= len(series); i++ {
		if enough(series[i:i+smooth]) && enough(series[i:]) {
			return time.Duration(i) * time.Second, true
		}
	}
	return 0, false
}

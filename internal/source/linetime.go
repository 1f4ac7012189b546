package source

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// UnknownTimes counts the lines of a listing whose time is unknown with [Options].TimeField. They
// are listed, whatever Since and Until are.
type UnknownTimes struct {
	Missing    int64 // no such field, or null
	Unreadable int64 // the field is not a time
}

// timeOf parses the time of a line. If the line has none it returns the zero time and counts why.
func (u *UnknownTimes) timeOf(raw []byte) time.Time {
	if raw == nil || string(raw) == "null" {
		u.Missing++
		return time.Time{}
	}
	t, ok := parseLineTime(raw)
	if !ok {
		u.Unreadable++
	}
	return t
}

// lineTimeLayouts are tried in this order. A time without a zone is local, as --since is.
var lineTimeLayouts = []string{ //nolint:gochecknoglobals // never changed
	time.RFC3339, time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700",
	"2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04",
}

// parseLineTime parses a raw JSON value: a string as RFC 3339 writes times, or without the zone or
// the time of day; or the time since 1970 as a number in seconds, milliseconds, microseconds or
// nanoseconds, by its size. A string may hold the number.
func parseLineTime(raw []byte) (time.Time, bool) {
	s := string(raw)
	if raw[0] == '"' {
		s = string(bytes.TrimSpace(unquote(raw)))
		for _, layout := range lineTimeLayouts {
			if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
				return t, plausible(t)
			}
		}
	} else if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return time.Time{}, false
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > math.MaxInt64/2 {
		return time.Time{}, false
	}
	// Seconds have ten digits until 2286, and had nine in 1973.
	for math.Abs(n) >= 1e11 {
		n /= 1000
	}
	whole, part := math.Modf(n)
	t := time.Unix(int64(whole), int64(math.Round(part*1e6))*1000)
	return t, plausible(t)
}

// plausible excludes years that a ledger could not keep, and the zero time.
func plausible(t time.Time) bool { return t.Year() > 1 && t.Year() < 10_000 }

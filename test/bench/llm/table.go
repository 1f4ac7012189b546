package main

import (
	"fmt"
	"strings"
	"time"
)

// title is the heading of the section in the file of results.
const title = "An endpoint's limits, and throughput without"

// row is one figure.
type row struct {
	scenario string
	what     string
	measured string
	aim      string // "" for a figure that is only information
	met      bool
}

func (r row) verdict() string {
	switch {
	case r.aim == "":
		return "–"
	case r.met:
		return "yes"
	default:
		return "no"
	}
}

// fact is a figure without a target.
func fact(what, format string, args ...any) row {
	return row{what: what, measured: fmt.Sprintf(format, args...)}
}

// atLeast checks a share that should be large.
func atLeast(what string, aim, part, whole float64) row {
	share := 0.0
	if whole > 0 {
		share = part / whole
	}
	return row{what: what, measured: fmt.Sprintf("%.1f %% (%.0f of %.0f)", 100*share, part, whole),
		aim: fmt.Sprintf("≥ %g %%", 100*aim), met: share >= aim}
}

// atMost checks a share that should be small.
func atMost(what string, aim float64, part, whole int64) row {
	share := 0.0
	if whole > 0 {
		share = float64(part) / float64(whole)
	}
	return row{what: what, measured: fmt.Sprintf("%.2f %% (%d of %d)", 100*share, part, whole),
		aim: fmt.Sprintf("≤ %g %%", 100*aim), met: share <= aim && whole > 0}
}

// within checks a time; never is printed if the event did not happen while it was watched.
func within(what string, aim time.Duration, took time.Duration, happened bool, never string) row {
	r := row{what: what, measured: never, met: happened && took <= aim}
	if happened {
		r.measured = fmt.Sprintf("%.0f s", took.Seconds())
	}
	if aim > 0 {
		r.aim = fmt.Sprintf("≤ %.0f s", aim.Seconds())
	}
	return r
}

// none checks a count that must be 0.
func none(what string, n int64) row {
	return row{what: what, measured: fmt.Sprint(n), aim: "0", met: n == 0}
}

func failure(err error) row {
	first, _, _ := strings.Cut(err.Error(), "\n")
	return row{what: "failed", measured: strings.ReplaceAll(first, "|", "/"), aim: "to run"}
}

func markdown(rows []row) string {
	var t strings.Builder
	t.WriteString("| scenario | figure | measured | aim | met |\n|---|---|---|---|---|\n")
	before := ""
	for _, r := range rows {
		name := r.scenario
		if name == before {
			name = ""
		}
		before = r.scenario
		aim := r.aim
		if aim == "" {
			aim = "–"
		}
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %s |\n", name, r.what, r.measured, aim, r.verdict())
	}
	return t.String()
}

// notes explain the figures.
const notes = `Admissible is rate × time, as the endpoint itself counts it. Its bucket is empty when the workers start (a minute's worth may
gather), so a client that exceeds the limit is refused. Where the limit must be learned, the bucket is full at the start and holds
ten seconds' worth, which is added for the whole run. Windows and intervals begin at whole seconds and minutes. A share of 429s is
of all calls from the first to the end of the interval, warming up included; where a limit changes it is of the calls after the
change. A halved limit is reached at the moment after which no ten seconds have more calls, refused ones included, than 1.05 of
it. A doubled limit, or a rate that is back, is reached at the first ten seconds with that number of admitted calls, if all later
ones together keep it. Calls take 300 ms unless the row names another latency. The loop is 64 goroutines that post the same bodies
with one http.Client and read the answers, and do nothing else.
`

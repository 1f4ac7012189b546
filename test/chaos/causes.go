package main

import (
	"slices"
	"strings"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// A cause explains why a call may be paid twice.
type cause string

const (
	byKill  cause = "the worker was killed during the call"
	byStop  cause = "the worker was stopped while the ledger was unavailable"
	byCut   cause = "the worker was cut off from the model"
	byAway  cause = "the worker was cut off from the ledger until it was presumed dead"
	noCause cause = "unexplained"
)

const (
	// storedWithin is the time until an answer is in the ledger, on a loaded machine.
	storedWithin = time.Second
	// storedAfter is the time until a pending write reaches the ledger after an outage. Writes are
	// retried every 5 s.
	storedAfter = 8 * time.Second
)

// A span is an interval of time.
type span struct{ from, to time.Time }

func (s span) touches(o span) bool { return !s.from.After(o.to) && !o.from.After(s.to) }

// record holds what was done to the workers of a fault run: deaths by process key, cuts by slot
// name.
type record struct {
	kills, stops map[string]time.Time
	open         map[string]int64 // calls that a killed process had open, from the ledger
	modelCuts    map[string][]span
	ledgerAway   map[string][]span
}

func newRecord() record {
	return record{
		kills: map[string]time.Time{}, stops: map[string]time.Time{}, open: map[string]int64{},
		modelCuts: map[string][]span{}, ledgerAway: map[string][]span{},
	}
}

// slotName returns the slot of a process key.
func slotName(key string) string { return key[:max(0, strings.LastIndexByte(key, '-'))] }

// cause returns why an answer that was paid, or may have been, was not used. Whether a killed
// process had this call open cannot be seen here: paidTwice compares the number of such calls
// with record.open.
func (r record) cause(c fakellm.Call) cause {
	open := span{c.At, c.At.Add(time.Duration(c.Millis * float64(time.Millisecond)))}
	answered := open.to
	open.to = answered.Add(storedWithin)
	away := span{} // while the answer could not be stored
	for _, s := range r.ledgerAway[slotName(c.Key)] {
		s.to = s.to.Add(storedAfter)
		if s.touches(open) {
			away = s
		}
	}
	stopped, wasStopped := r.stops[c.Key]
	killed, dead := r.kills[c.Key]
	switch {
	case slices.ContainsFunc(r.modelCuts[slotName(c.Key)], open.touches):
		return byCut
	case dead && !killed.Before(c.At):
		return byKill
	case wasStopped && !stopped.Before(c.At) && !stopped.After(away.to):
		return byStop
	case !away.to.IsZero() && away.to.Sub(away.from) >= presumedDeadAfter+storedAfter:
		return byAway
	}
	return noCause
}

// paidTwice counts, by cause, the calls that were paid beyond the first for a prompt. A call is
// paid when it was answered, or abandoned by a client that did not learn its cost. It also
// lists the calls without a cause.
func (r record) paidTwice(calls []fakellm.Call) (map[cause]int, []fakellm.Call) {
	paid := map[string][]fakellm.Call{}
	for _, c := range calls {
		switch c.Outcome {
		case fakellm.OutcomeOK, fakellm.OutcomeRefused, fakellm.OutcomeAbandoned:
			if c.Prompt != strings.Repeat("0", len(c.Prompt)) { // cut off before the prompt was read
				paid[c.Prompt] = append(paid[c.Prompt], c)
			}
		}
	}
	counts, atKill := map[cause]int{}, map[string]int64{}
	var unexplained []fakellm.Call
	for _, all := range paid {
		slices.SortFunc(all, func(a, b fakellm.Call) int { return a.At.Compare(b.At) })
		for _, c := range all[:len(all)-1] { // the last call's answer was used
			why := r.cause(c)
			if why == byKill {
				if atKill[c.Key]++; atKill[c.Key] > r.open[c.Key] {
					why = noCause
				}
			}
			counts[why]++
			if why == noCause {
				unexplained = append(unexplained, c)
			}
		}
	}
	return counts, unexplained
}

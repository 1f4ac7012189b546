package main

import (
	"slices"
	"strings"
	"time"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

// A cause is why a call may be paid twice.
type cause string

const (
	byKill    cause = "its worker was killed while it was open"
	byStop    cause = "its worker was stopped while the ledger was away"
	byCut     cause = "it was cut off from the model"
	byAway    cause = "its worker was cut off from the ledger until it was taken for dead"
	byNothing cause = "without a cause"
)

const (
	// bookedWithin is when an answer is in the ledger, on a loaded machine.
	bookedWithin = time.Second
	// bookedAfter is when what waits for the ledger is in it, once that is back: it is tried again every 5 s.
	bookedAfter = 8 * time.Second
)

// a span is when something was so.
type span struct{ from, to time.Time }

func (s span) touches(o span) bool { return !s.from.After(o.to) && !o.from.After(s.to) }

// record is what was done to the workers of a storm: deaths by the keys of processes, cuts by slots.
type record struct {
	kills, stops map[string]time.Time
	open         map[string]int64 // calls that a killed process had open, by the ledger
	modelCuts    map[string][]span
	ledgerAway   map[string][]span
}

func newRecord() record {
	return record{
		kills: map[string]time.Time{}, stops: map[string]time.Time{}, open: map[string]int64{},
		modelCuts: map[string][]span{}, ledgerAway: map[string][]span{},
	}
}

// slotOf is where a process was.
func slotOf(key string) string { return key[:max(0, strings.LastIndexByte(key, '-'))] }

// cause is why a call that was paid, or may have been, was of no use. That a killed process had it open is to be seen by the number of
// those that it had.
func (r record) cause(c fakellm.Call) cause {
	open := span{c.At, c.At.Add(time.Duration(c.Millis * float64(time.Millisecond)))}
	answered := open.to
	open.to = answered.Add(bookedWithin)
	away := span{} // in which the answer could not be stored
	for _, s := range r.ledgerAway[slotOf(c.Key)] {
		s.to = s.to.Add(bookedAfter)
		if s.touches(open) {
			away = s
		}
	}
	stopped, toldToStop := r.stops[c.Key]
	killed, dead := r.kills[c.Key]
	switch {
	case slices.ContainsFunc(r.modelCuts[slotOf(c.Key)], open.touches):
		return byCut
	case dead && !killed.Before(c.At):
		return byKill
	case toldToStop && !stopped.Before(c.At) && !stopped.After(away.to):
		return byStop
	case !away.to.IsZero() && away.to.Sub(away.from) >= outlasts+bookedAfter:
		return byAway
	}
	return byNothing
}

// paidTwice counts, by their causes, the calls that were paid for a prompt beyond one: answered, or given up by a client that did not
// hear what they cost. It lists those without a cause.
func (r record) paidTwice(calls []fakellm.Call) (map[cause]int, []fakellm.Call) {
	paid := map[string][]fakellm.Call{}
	for _, c := range calls {
		switch c.Outcome {
		case fakellm.OutcomeOK, fakellm.OutcomeRefused, fakellm.OutcomeAbandoned:
			if c.Prompt != strings.Repeat("0", len(c.Prompt)) { // one that was cut off before it was read
				paid[c.Prompt] = append(paid[c.Prompt], c)
			}
		}
	}
	counts, atKill := map[cause]int{}, map[string]int64{}
	var without []fakellm.Call
	for _, all := range paid {
		slices.SortFunc(all, func(a, b fakellm.Call) int { return a.At.Compare(b.At) })
		for _, c := range all[:len(all)-1] { // the last one is the one that was of use
			why := r.cause(c)
			if why == byKill {
				if atKill[c.Key]++; atKill[c.Key] > r.open[c.Key] {
					why = byNothing
				}
			}
			counts[why]++
			if why == byNothing {
				without = append(without, c)
			}
		}
	}
	return counts, without
}

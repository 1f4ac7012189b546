package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gistmill/gistmill/test/fakellm/fakellm"
)

func TestCauses(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	call := fakellm.Call{At: at(10), Millis: 2000, Key: "worker-1-7"}
	for name, c := range map[string]struct {
		happened func(record)
		want     cause
	}{
		"nothing":            {func(record) {}, byNothing},
		"killed in it":       {func(r record) { r.kills["worker-1-7"] = at(11) }, byKill},
		"killed later":       {func(r record) { r.kills["worker-1-7"] = at(20) }, byKill}, // if it had it open
		"killed before":      {func(r record) { r.kills["worker-1-7"] = at(9) }, byNothing},
		"another was killed": {func(r record) { r.kills["worker-1-8"] = at(11) }, byNothing},
		"stopped while the ledger was away": {func(r record) {
			r.stops["worker-1-7"] = at(20)
			r.ledgerAway["worker-1"] = []span{{at(11), at(15)}}
		}, byStop},
		"stopped":                {func(r record) { r.stops["worker-1-7"] = at(13.5) }, byNothing},
		"cut off":                {func(r record) { r.modelCuts["worker-1"] = []span{{at(5), at(10.5)}} }, byCut},
		"another was cut off":    {func(r record) { r.modelCuts["worker-2"] = []span{{at(5), at(10.5)}} }, byNothing},
		"away for long":          {func(r record) { r.ledgerAway["worker-1"] = []span{{at(8), at(30)}} }, byAway},
		"away, but not for long": {func(r record) { r.ledgerAway["worker-1"] = []span{{at(8), at(15)}} }, byNothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecord()
			c.happened(r)
			if got := r.cause(call); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// Given up is paid as well; of the calls for a prompt all but the last were of no use.
func TestPaidTwice(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	call := func(prompt, key, outcome string, second int) fakellm.Call {
		return fakellm.Call{Prompt: prompt, Key: key, Outcome: outcome, At: begin.Add(time.Duration(second) * time.Second), Millis: 900}
	}
	r := newRecord()
	r.kills["w-1"], r.open["w-1"] = begin.Add(4*time.Second), 1
	counts, without := r.paidTwice([]fakellm.Call{
		call("a", "w-1", fakellm.OutcomeAbandoned, 1), call("a", "w-2", fakellm.OutcomeOK, 5),
		call("b", "w-2", fakellm.OutcomeOK, 1),
		call("e", "w-1", fakellm.OutcomeOK, 2), call("e", "w-2", fakellm.OutcomeOK, 7),
		call("c", "w-2", fakellm.OutcomeOK, 1), call("c", "w-1", fakellm.OutcomeOK, 3),
		call("d", "w-2", fakellm.OutcomeFault500, 1), call("d", "w-2", fakellm.OutcomeOK, 2),
		call("00", "w-2", fakellm.OutcomeAbandoned, 1), call("00", "w-2", fakellm.OutcomeAbandoned, 2),
	})
	if diff := cmp.Diff(map[cause]int{byKill: 1, byNothing: 2}, counts); diff != "" {
		t.Error(diff)
	}
	// The killed one had one call open, not two; and w-2 had no reason.
	if len(without) != 2 || (without[0].Prompt != "c" && without[1].Prompt != "c") {
		t.Errorf("%+v", without)
	}
}

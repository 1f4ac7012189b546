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
		"nothing":                            {func(record) {}, noCause},
		"killed during the call":             {func(r record) { r.kills["worker-1-7"] = at(11) }, byKill},
		"killed later, if the call was open": {func(r record) { r.kills["worker-1-7"] = at(20) }, byKill},
		"killed before the call":             {func(r record) { r.kills["worker-1-7"] = at(9) }, noCause},
		"another was killed":                 {func(r record) { r.kills["worker-1-8"] = at(11) }, noCause},
		"stopped while the ledger was away": {func(r record) {
			r.stops["worker-1-7"] = at(20)
			r.ledgerAway["worker-1"] = []span{{at(11), at(15)}}
		}, byStop},
		"stopped":                {func(r record) { r.stops["worker-1-7"] = at(13.5) }, noCause},
		"cut off":                {func(r record) { r.modelCuts["worker-1"] = []span{{at(5), at(10.5)}} }, byCut},
		"another was cut off":    {func(r record) { r.modelCuts["worker-2"] = []span{{at(5), at(10.5)}} }, noCause},
		"away for long":          {func(r record) { r.ledgerAway["worker-1"] = []span{{at(8), at(30)}} }, byAway},
		"away, but not for long": {func(r record) { r.ledgerAway["worker-1"] = []span{{at(8), at(15)}} }, noCause},
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

// An abandoned call is paid as well. All calls for a prompt but the last are paid twice.
func TestPaidTwice(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	call := func(prompt, key, outcome string, second int) fakellm.Call {
		return fakellm.Call{Prompt: prompt, Key: key, Outcome: outcome, At: begin.Add(time.Duration(second) * time.Second), Millis: 900}
	}
	r := newRecord()
	r.kills["w-1"], r.open["w-1"] = begin.Add(4*time.Second), 1
	counts, unexplained := r.paidTwice([]fakellm.Call{
		call("a", "w-1", fakellm.OutcomeAbandoned, 1), call("a", "w-2", fakellm.OutcomeOK, 5),
		call("b", "w-2", fakellm.OutcomeOK, 1),
		call("e", "w-1", fakellm.OutcomeOK, 2), call("e", "w-2", fakellm.OutcomeOK, 7),
		call("c", "w-2", fakellm.OutcomeOK, 1), call("c", "w-1", fakellm.OutcomeOK, 3),
		call("d", "w-2", fakellm.OutcomeFault500, 1), call("d", "w-2", fakellm.OutcomeOK, 2),
		call("00", "w-2", fakellm.OutcomeAbandoned, 1), call("00", "w-2", fakellm.OutcomeAbandoned, 2),
	})
	if diff := cmp.Diff(map[cause]int{byKill: 1, noCause: 2}, counts); diff != "" {
		t.Error(diff)
	}
	// The killed process had one call open, not two; w-2 has no explanation.
	if len(unexplained) != 2 || (unexplained[0].Prompt != "c" && unexplained[1].Prompt != "c") {
		t.Errorf("%+v", unexplained)
	}
}

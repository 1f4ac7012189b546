package worker

import (
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	busy, idle := ledger.Others{Live: 2, Claims: 9}, ledger.Others{Live: 2}
	for name, c := range map[string]struct {
		before, now ledger.Others
		by          proof
		waited      time.Duration
		want        verdict
	}{
		"alone":                           {want: noWorkers},
		"others work":                     {before: busy, now: busy, waited: time.Minute, want: unknown},
		"others work on something slow":   {before: busy, now: busy, waited: busyOthers, want: noWorkers},
		"others have just started":        {before: idle, now: idle, waited: time.Second, want: unknown},
		"others get no document":          {before: idle, now: idle, waited: idleOthers, want: noWorkers},
		"others gave theirs back":         {before: busy, now: idle, waited: idleOthers, want: noWorkers},
		"the others have died":            {before: busy, now: ledger.Others{}, waited: time.Second, want: noWorkers},
		"ended before":                    {before: ledger.Others{Live: 1, Claims: 1, Ended: 7}, now: ledger.Others{Live: 1, Claims: 1, Ended: 7}, want: unknown},
		"ended since":                     {before: ledger.Others{Live: 1, Ended: 7}, now: ledger.Others{Live: 1, Ended: 8}, want: onlyHere},
		"ended without a call":            {before: busy, now: ledger.Others{Live: 2, Claims: 8, Ended: 1}, by: byCall, want: unknown},
		"their call brought an answer":    {before: busy, now: ledger.Others{Live: 2, Claims: 9, Answers: 1}, by: byCall, want: onlyHere},
		"an answer needs the source, too": {before: busy, now: ledger.Others{Live: 2, Claims: 9, Answers: 1}, want: onlyHere},
	} {
		if got := judge(c.before, c.now, c.by, c.waited); got != c.want {
			t.Errorf("%s: verdict %d, want %d", name, got, c.want)
		}
	}
}

package progress

import (
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

func TestReported(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	down := ledger.LiveWorker{Wait: &ledger.Wait{Reason: ledger.WaitEndpoint, Endpoint: "llm:80", Since: at(-time.Hour), Until: at(24 * time.Second), Cause: "500 oops"}}
	limited := ledger.LiveWorker{Wait: &ledger.Wait{Reason: ledger.WaitRateLimit, Endpoint: "llm:80", Until: at(9 * time.Second)}}
	later := ledger.LiveWorker{Wait: &ledger.Wait{Reason: ledger.WaitRateLimit, Endpoint: "llm:80", Until: at(20 * time.Second)}}
	quota := ledger.LiveWorker{Wait: &ledger.Wait{Reason: ledger.WaitRateLimit, Endpoint: "llm:80", Until: at(3 * time.Hour)}}
	busy := ledger.LiveWorker{}
	for name, test := range map[string]struct {
		live   []ledger.LiveWorker
		reason ledger.WaitReason
		says   string
	}{
		"no worker":                 {nil, "", ""},
		"busy":                      {[]ledger.LiveWorker{busy, busy}, "", ""},
		"one of three is cut off":   {[]ledger.LiveWorker{busy, down, busy}, "", ""},
		"down":                      {[]ledger.LiveWorker{limited, down}, ledger.WaitEndpoint, "(500 oops); next try in 24s"},
		"limit, the first call":     {[]ledger.LiveWorker{later, limited}, ledger.WaitRateLimit, "in 9s"},
		"limit of a day is a quota": {[]ledger.LiveWorker{quota}, ledger.WaitQuota, "in 3h0m0s"},
	} {
		w := reported(test.live, now)
		switch {
		case test.reason == "" && w != nil:
			t.Errorf("%s: %+v", name, w)
		case test.reason != "" && (w == nil || w.Reason != test.reason || !strings.Contains(w.Message, test.says) || w.Until == nil):
			t.Errorf("%s: %+v", name, w)
		}
	}
}

func TestStandstill(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	live := []ledger.LiveWorker{{Name: "host/1", Claims: 2}}
	gone := []ledger.LiveWorker{{Name: "host/2", Claims: 5, LeaseUntil: now.Add(14 * time.Second)}}
	for name, test := range map[string]struct {
		standing   ledger.Standing
		live, gone []ledger.LiveWorker
		shared     bool
		reason     ledger.WaitReason
		says       string
	}{
		"work to claim":          {ledger.Standing{Due: 1}, live, nil, true, "", ""},
		"all in work":            {ledger.Standing{Claimed: 2}, live, nil, true, "", ""},
		"held by a killed one":   {ledger.Standing{Claimed: 5, Later: 1, NextDue: now}, live, gone, true, ledger.WaitLease, "in 14s"},
		"retries":                {ledger.Standing{Later: 6, NextDue: now.Add(8 * time.Second)}, live, nil, true, ledger.WaitRetry, "6 documents are retried"},
		"not confirmed":          {ledger.Standing{Planned: 9}, live, nil, true, ledger.WaitConfirmation, "9 planned"},
		"one not confirmed":      {ledger.Standing{Planned: 1}, live, nil, true, ledger.WaitConfirmation, "1 planned document was not"},
		"no worker":              {ledger.Standing{Due: 1}, nil, nil, true, ledger.WaitNoWorkers, "start `gistmill worker`"},
		"only a killed one":      {ledger.Standing{Due: 1}, nil, gone, true, ledger.WaitLease, "host/2"},
		"interrupted run":        {ledger.Standing{Due: 1}, nil, nil, false, ledger.WaitNoWorkers, "interrupted"},
		"killed run on a laptop": {ledger.Standing{Due: 1}, nil, gone, false, ledger.WaitNoWorkers, "interrupted"},
	} {
		w := standstill(test.standing, test.live, test.gone, Options{Shared: test.shared, Now: now})
		switch {
		case test.reason == "" && w != nil:
			t.Errorf("%s: %+v", name, w)
		case test.reason != "" && (w == nil || w.Reason != test.reason || !strings.Contains(w.Message, test.says)):
			t.Errorf("%s: %+v", name, w)
		}
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	tomorrow := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		run    ledger.Run
		reason ledger.WaitReason
		until  string
	}{
		{ledger.Run{State: ledger.Finished}, "", ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Cancelled}, "", ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Paused, Message: "paused by a person"}, "", ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Paused, Message: "not confirmed"}, ledger.WaitConfirmation, ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Budget, Message: "the budget of the run is reached"}, ledger.WaitBudget, ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Budget, Message: "the budget of the day", Until: tomorrow}, ledger.WaitBudget, "2026-03-02T00:00:00Z"},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Halted, Message: "the endpoint refused the API key"}, "", ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Halted, Message: "check plan", Quota: ledger.CreditQuota}, ledger.WaitQuota, ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Quota, Quota: "requests per day"}, ledger.WaitQuota, ""},
		{ledger.Run{State: ledger.Stopped, Reason: ledger.Quota, Quota: "requests per day", Until: tomorrow}, ledger.WaitQuota, "2026-03-02T00:00:00Z"},
	} {
		w := stopped(test.run)
		switch {
		case w == nil && test.reason == "":
		case w == nil || w.Reason != test.reason:
			t.Errorf("%+v: %+v", test.run, w)
		case test.until == "" && w.Until != nil || test.until != "" && w.Until.Format(time.RFC3339) != test.until:
			t.Errorf("%+v: until %v", test.run, w.Until)
		}
	}
}

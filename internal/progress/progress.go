// Package progress tells how far along a run is, how fast it is, and what it waits for. Commands
// and pages show it.
//
// It owns the choice of one reason among several waits, and its sentence. It refuses to own what it
// reads: workers write what they do and wait for to the ledger.
package progress

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/process"
)

// Progress of a run.
type Progress struct {
	Workers   int64        // live workers that may work on it
	Reuse     ledger.Reuse // what it did not pay for
	PerSecond float64      // documents that end per second, over the last minute; 0 without a worker
	ETA       *time.Duration
	Waiting   *Waiting // nil: it waits for nothing
	// Interrupted is set for a run that no process works on or plans: it continues with the next
	// command.
	Interrupted bool
}

// Waiting is why a run does not go on now. Its JSON fields are an interface for users.
type Waiting struct {
	Reason  ledger.WaitReason `json:"reason"`
	Since   *time.Time        `json:"since"`
	Until   *time.Time        `json:"until"`
	Message string            `json:"message"` // waiting because …
}

// Options of [Read].
type Options struct {
	Remaining int64 // documents of the run that are open
	// Shared is set if workers take their tasks from a Redis of their own. Without it, each `run`
	// works on its runs alone.
	Shared bool
	Now    time.Time
}

// Read reads the progress of a run from the ledger.
func Read(ctx context.Context, l *ledger.Ledger, run ledger.Run, o Options) (Progress, error) {
	p, err := read(ctx, l, run, o)
	if p.Waiting != nil {
		p.Waiting.Message = "waiting because " + p.Waiting.Message
	}
	return p, err
}

func read(ctx context.Context, l *ledger.Ledger, run ledger.Run, o Options) (p Progress, err error) {
	if p.Reuse, err = l.Reuse(ctx, run.ID); err != nil {
		return p, err
	}
	switch run.State {
	case ledger.Running:
	case ledger.Planning:
		alive, err := l.PlannerAlive(ctx, run)
		switch {
		case err != nil:
		case alive:
			p.Waiting = &Waiting{Reason: ledger.WaitPlanner, Message: "a process is planning the source"}
		default:
			p.Interrupted = true
			p.Waiting = &Waiting{Reason: ledger.WaitNoWorkers, Message: "planning was interrupted and no process continues it; the same command does"}
		}
		return p, err
	default:
		p.Waiting = stopped(run)
		return p, nil
	}
	workers, err := l.Workers(ctx, run.ID)
	if err != nil {
		return p, err
	}
	live, gone := split(workers)
	p.Workers = int64(len(live))
	if len(live) > 0 {
		if p.PerSecond, err = l.Pace(ctx, run.ID); err != nil {
			return p, err
		}
	}
	if p.PerSecond > 0 && o.Remaining > 0 {
		eta := time.Duration(float64(o.Remaining) / p.PerSecond * float64(time.Second))
		p.ETA = &eta
	}
	if o.Remaining == 0 {
		return p, nil
	}
	if p.Waiting = reported(live, o.Now); p.Waiting != nil {
		return p, nil
	}
	standing, err := l.Standing(ctx, run.ID)
	if err != nil {
		return p, err
	}
	p.Waiting = standstill(standing, live, gone, o)
	p.Interrupted = p.Waiting != nil && p.Waiting.Reason == ledger.WaitNoWorkers && !o.Shared
	return p, nil
}

// Alive reports whether a worker renews its lease, and its process is not known to have ended on
// this machine.
func Alive(w ledger.LiveWorker) bool { return !w.Silent && !process.Ended(w.Process) }

// split separates the workers that are alive from those that may be dead.
func split(workers []ledger.LiveWorker) (live, gone []ledger.LiveWorker) {
	for _, w := range workers {
		if Alive(w) {
			live = append(live, w)
		} else {
			gone = append(gone, w)
		}
	}
	return live, gone
}

// stopped returns what a stopped run waits for, as far as it is not a person's decision.
func stopped(run ledger.Run) *Waiting {
	w := &Waiting{Message: run.Message, Until: notZero(run.Until)}
	switch {
	case run.State != ledger.Stopped:
		return nil
	case run.Reason == ledger.Budget:
		w.Reason = ledger.WaitBudget
	case run.Reason == ledger.Quota, run.Reason == ledger.Halted && run.Quota == ledger.CreditQuota:
		w.Reason = ledger.WaitQuota
	case run.Reason == ledger.Paused && strings.HasPrefix(run.Message, ledger.NotConfirmed):
		w.Reason = ledger.WaitConfirmation
		w.Message = "the plan was not confirmed; the same command asks again"
	default:
		return nil
	}
	return w
}

// quotaAfter is the wait after which a rate limit is a quota: limits of a minute end sooner.
const quotaAfter = 10 * time.Minute

// reported returns what the live workers say that they wait for: the most severe wait, if at least
// half of the workers wait.
func reported(live []ledger.LiveWorker, now time.Time) *Waiting {
	var found *ledger.Wait
	waiting := 0
	for _, w := range live {
		if w.Wait == nil {
			continue
		}
		waiting++
		if found == nil || w.Wait.Reason.Severity() > found.Reason.Severity() ||
			w.Wait.Reason == found.Reason && w.Wait.Until.After(now) && w.Wait.Until.Before(found.Until) {
			found = w.Wait
		}
	}
	if found == nil || 2*waiting < len(live) {
		return nil
	}
	wait := *found
	if wait.Reason == ledger.WaitRateLimit && wait.Until.Sub(now) >= quotaAfter {
		wait.Reason = ledger.WaitQuota
	}
	return &Waiting{Reason: wait.Reason, Since: notZero(wait.Since), Until: notZero(wait.Until), Message: wait.Message(now)}
}

// standstill returns why a run with open documents does not go on, if no worker has said why.
func standstill(s ledger.Standing, live, gone []ledger.LiveWorker, o Options) *Waiting {
	var heldByGone int64
	var until time.Time
	var name string
	for _, w := range gone {
		heldByGone += w.Claims
		if w.Claims > 0 && w.LeaseUntil.After(until) {
			until, name = w.LeaseUntil, w.Name
		}
	}
	lease := &Waiting{Reason: ledger.WaitLease, Until: notZero(until), Message: fmt.Sprintf(
		"a process that worked on it (%s) was killed or cannot reach the ledger; %s", name, inTime("its documents are free when its lease ends", until, o.Now))}
	switch {
	case len(live) == 0 && heldByGone > 0 && o.Shared:
		return lease
	case len(live) == 0 && o.Shared:
		return &Waiting{Reason: ledger.WaitNoWorkers, Message: "no worker is alive; start `gistmill worker`"}
	case len(live) == 0:
		return &Waiting{Reason: ledger.WaitNoWorkers, Message: "the run was interrupted and has no worker; `gistmill run` of the same source continues it"}
	case s.Due > 0 || s.Claimed > heldByGone:
		return nil
	case heldByGone > 0:
		return lease
	case s.Later > 0:
		return &Waiting{Reason: ledger.WaitRetry, Until: notZero(s.NextDue), Message: inTime(retries(s.Later), s.NextDue, o.Now)}
	case s.Planned > 0:
		return &Waiting{Reason: ledger.WaitConfirmation, Message: fmt.Sprintf("%s not confirmed; the same command asks again", planned(s.Planned))}
	}
	return nil
}

func planned(n int64) string {
	if n == 1 {
		return "1 planned document was"
	}
	return fmt.Sprintf("%d planned documents were", n)
}

func retries(n int64) string {
	if n == 1 {
		return "1 document is retried"
	}
	return fmt.Sprintf("%d documents are retried, the first", n)
}

func inTime(what string, at, now time.Time) string {
	left := at.Sub(now).Round(time.Second)
	if at.IsZero() || left <= 0 {
		return what + " now"
	}
	return fmt.Sprintf("%s at %s, in %s", what, at.Local().Format("15:04:05"), left)
}

func notZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

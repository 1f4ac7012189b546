package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/terminal"
)

const (
	// plainInterval is how often progress is printed without a terminal.
	plainInterval = 10 * time.Second
	// barInterval is how often the bar moves. Each time, the ledger counts all rows of the run.
	barInterval = 500 * time.Millisecond
	// stoppingInterval is how often the calls in flight are counted after an interrupt.
	stoppingInterval = 200 * time.Millisecond
	// rateWindow is the time that a rate is measured over.
	rateWindow = time.Minute
)

// progress shows the progress of a command's runs: a bar on a terminal, otherwise lines. Its
// methods are called from one goroutine, except stopping.
type progress struct {
	to    *terminal.Terminal
	bar   bool
	shown time.Time // last update
	rate  window
}

func newProgress(to *terminal.Terminal) *progress { return &progress{to: to, bar: to.CanRedraw()} }

// begin notes what was done before the work began.
func (p *progress) begin(all []statusView, now time.Time) {
	p.shown = now
	p.rate.add(now, sum(all).worked)
	if p.bar {
		p.update(all, now)
	}
}

// due reports whether it is time for an update.
func (p *progress) due(now time.Time) bool {
	interval := plainInterval
	if p.bar {
		interval = barInterval
	}
	return now.Sub(p.shown) >= interval
}

// sums are the figures of all runs of a command.
type sums struct {
	total, ended, worked, remaining, tokens int64
	cost                                    *int64 // nano-USD; nil: not known
}

func sum(all []statusView) sums {
	var s sums
	var cost int64
	s.cost = &cost
	for _, v := range all {
		d := v.Documents
		s.total += d.Total
		s.ended += d.Done + d.Dead + d.Skipped
		s.worked += d.Done + d.Dead
		s.remaining += d.Remaining
		s.tokens += v.Tokens.In + v.Tokens.Out
		if v.costNano == nil {
			s.cost = nil
		} else if s.cost != nil {
			cost += *v.costNano
		}
	}
	return s
}

// update shows the progress of all runs together.
func (p *progress) update(all []statusView, now time.Time) {
	p.shown = now
	s := sum(all)
	p.rate.add(now, s.worked)
	text := ""
	if rate := p.rate.perSecond(); rate > 0 {
		text = fmt.Sprintf(" %.1f/s", rate)
		if s.remaining > 0 {
			text += " ETA " + round(time.Duration(float64(s.remaining)/rate*float64(time.Second)))
		}
	}
	if s.tokens > 0 {
		text += fmt.Sprintf(" | %s tokens", number(s.tokens))
		if s.cost != nil {
			text += " " + usd(s.cost)
		}
	}
	if p.bar {
		p.to.Show(func(width int) []string {
			return []string{terminal.Bar(width-1, number(s.ended)+"/"+number(s.total), s.ended, s.total, text)}
		})
		return
	}
	fmt.Fprintf(p.to, "gistmill: %s of %s%s\n", number(s.ended), count(s.total, "document"), text)
}

// stopping says, from the end of stop until ended is closed, what is waited for. calls returns the
// number of calls in flight, and grace is the longest time that they have.
func (p *progress) stopping(stop, abort context.Context, ended <-chan struct{}, calls func() int, grace time.Duration) {
	select {
	case <-stop.Done():
	case <-ended:
		return
	}
	begun := time.Now()
	var said time.Time
	saidAbort := false
	for {
		aborted := abort.Err() != nil
		notice := "stopping: " + stoppingNotice(calls(), grace-time.Since(begun), aborted)
		switch {
		case p.bar:
			p.to.Show(func(width int) []string { return terminal.Wrap(notice, width-1) })
		case time.Since(said) >= plainInterval, aborted && !saidAbort:
			fmt.Fprintf(p.to, "gistmill: %s\n", notice)
			said, saidAbort = time.Now(), aborted
		}
		select {
		case <-ended:
			return
		case <-time.After(stoppingInterval):
		}
	}
}

func stoppingNotice(calls int, left time.Duration, aborted bool) string {
	switch {
	case aborted:
		return "giving up the calls in flight"
	case calls == 0:
		return "recording the results"
	}
	return fmt.Sprintf("finishing %s, up to %s; Ctrl-C again gives them up", count(int64(calls), "call"), round(max(left, 0)))
}

// end removes the bar.
func (p *progress) end() { p.to.Hide() }

// window measures a rate over the last [rateWindow].
type window struct{ samples []sample }

type sample struct {
	at     time.Time
	worked int64
}

func (w *window) add(now time.Time, worked int64) {
	w.samples = append(w.samples, sample{now, worked})
	for len(w.samples) > 2 && now.Sub(w.samples[1].at) >= rateWindow {
		w.samples = w.samples[1:]
	}
}

// perSecond returns the documents per second; 0: not known yet.
func (w *window) perSecond() float64 {
	if len(w.samples) < 2 {
		return 0
	}
	first, last := w.samples[0], w.samples[len(w.samples)-1]
	if last.worked <= first.worked {
		return 0
	}
	return float64(last.worked-first.worked) / last.at.Sub(first.at).Seconds()
}

package main

import (
	"context"
	"fmt"
	"time"

	runprogress "github.com/gistmill/gistmill/internal/progress"
	"github.com/gistmill/gistmill/internal/terminal"
)

const (
	// plainInterval is how often progress is printed without a terminal.
	plainInterval = 10 * time.Second
	// barInterval is how often the bar moves. Each time, the ledger counts all rows of the run.
	barInterval = 500 * time.Millisecond
	// stoppingInterval is how often the calls in flight are counted after an interrupt.
	stoppingInterval = 200 * time.Millisecond
)

// progress shows the progress of a command's runs: a bar on a terminal, otherwise lines. Its
// methods are called from one goroutine, except stopping.
type progress struct {
	to    *terminal.Terminal
	bar   bool
	shown time.Time // last update
}

func newProgress(to *terminal.Terminal) *progress { return &progress{to: to, bar: to.CanRedraw()} }

// begin notes what was done before the work began.
func (p *progress) begin(all []statusView, now time.Time) {
	p.shown = now
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
	total, ended, remaining, tokens int64
	rate                            float64              // documents per second
	waiting                         *runprogress.Waiting // of the first run that waits
	cost                            *int64               // nano-USD; nil: not known
}

func sum(all []statusView) sums {
	var s sums
	var cost int64
	s.cost = &cost
	for _, v := range all {
		d := v.Documents
		s.total += d.Total
		s.ended += d.Done + d.Dead + d.Skipped
		s.rate += v.Rate
		if s.waiting == nil {
			s.waiting = v.Waiting
		}
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
	text := ""
	if s.rate > 0 {
		text = fmt.Sprintf(" %.1f/s", s.rate)
		if s.remaining > 0 {
			text += " ETA " + round(time.Duration(float64(s.remaining)/s.rate*float64(time.Second)))
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
			lines := []string{terminal.Bar(width-1, number(s.ended)+"/"+number(s.total), s.ended, s.total, text)}
			if s.waiting != nil {
				lines = append(lines, terminal.Wrap(s.waiting.Message, width-1)...)
			}
			return lines
		})
		return
	}
	if s.waiting != nil {
		text += "; " + s.waiting.Message
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

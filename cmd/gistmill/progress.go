package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	// plainInterval is how often progress is printed without a terminal.
	plainInterval = 10 * time.Second
	// barInterval is how often the bar moves. Each time, the ledger counts all rows of the run.
	barInterval = 500 * time.Millisecond
)

// progress shows the progress of a command's runs: a bar on a terminal, otherwise lines.
type progress struct {
	out   io.Writer
	bars  *mpb.Progress
	bar   *mpb.Bar
	mu    sync.Mutex
	text  string
	begun time.Time
	shown time.Time // last update
}

func newProgress(out io.Writer, now time.Time) *progress {
	p := &progress{out: out, begun: now, shown: now}
	if !isTerminal(out) {
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(30), mpb.WithRefreshRate(200*time.Millisecond))
	p.bar = p.bars.AddBar(0,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersNoUnit("%d/%d ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.text
		})))
	return p
}

// Write prints a line of the log above the bar.
func (p *progress) Write(b []byte) (int, error) {
	if p.bars != nil {
		if n, err := p.bars.Write(b); err == nil {
			return n, nil
		}
	}
	return p.out.Write(b)
}

// due reports whether it is time for an update.
func (p *progress) due(now time.Time) bool {
	interval := plainInterval
	if p.bars != nil {
		interval = barInterval
	}
	return now.Sub(p.shown) >= interval
}

// update shows the progress of all runs together.
func (p *progress) update(all []statusView, now time.Time) {
	p.shown = now
	var total, ended, worked, remaining, in, out, cost int64
	known := true
	for _, v := range all {
		d := v.Documents
		total += d.Total
		ended += d.Done + d.Dead + d.Skipped
		worked += d.Done + d.Dead
		remaining += d.Remaining
		in += v.Tokens.In
		out += v.Tokens.Out
		if v.costNano == nil {
			known = false
		} else {
			cost += *v.costNano
		}
	}
	text := ""
	if elapsed := now.Sub(p.begun).Seconds(); elapsed > 0.5 && worked > 0 {
		rate := float64(worked) / elapsed
		text = fmt.Sprintf(" %.1f/s", rate)
		if remaining > 0 {
			text += " ETA " + round(time.Duration(float64(remaining)/rate*float64(time.Second)))
		}
	}
	if in+out > 0 {
		text += fmt.Sprintf(" | %s tokens", number(in+out))
		if known {
			text += " " + usd(&cost)
		}
	}
	if p.bars != nil {
		p.mu.Lock()
		p.text = text
		p.mu.Unlock()
		p.bar.SetTotal(max(total, 1), false)
		p.bar.SetCurrent(ended)
		return
	}
	fmt.Fprintf(p.out, "gistmill: %s of %s%s\n", number(ended), count(total, "document"), text)
}

// end removes the bar.
func (p *progress) end() {
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

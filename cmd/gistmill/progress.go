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
	// plainEvery is how often progress is said where there is no terminal.
	plainEvery = 10 * time.Second
	// barEvery is how often the bar moves. To know where it is, all rows of a run are counted.
	barEvery = 500 * time.Millisecond
)

// progress shows how far the runs of one command are: a bar on a terminal, else a line now and then.
type progress struct {
	out   io.Writer
	bars  *mpb.Progress
	bar   *mpb.Bar
	mu    sync.Mutex
	text  string
	begun time.Time
	said  time.Time
}

func newProgress(out io.Writer, now time.Time) *progress {
	p := &progress{out: out, begun: now, said: now}
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

// Write shows a line of the log above the bar.
func (p *progress) Write(b []byte) (int, error) {
	if p.bars != nil {
		if n, err := p.bars.Write(b); err == nil {
			return n, nil
		}
	}
	return p.out.Write(b)
}

// due says whether update would show anything now.
func (p *progress) due(now time.Time) bool {
	every := plainEvery
	if p.bars != nil {
		every = barEvery
	}
	return now.Sub(p.said) >= every
}

// update shows the sum of all runs.
func (p *progress) update(all []statusView, now time.Time) {
	p.said = now
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

// end takes the bar away.
func (p *progress) end() {
	if p.bars != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

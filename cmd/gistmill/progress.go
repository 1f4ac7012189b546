package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	runprogress "github.com/gistmill/gistmill/internal/progress"
	"github.com/gistmill/gistmill/internal/terminal"
	"github.com/gistmill/gistmill/internal/text"
)

const (
	// barInterval is how often the bar moves. Each time, the ledger counts all rows of the run.
	barInterval = 500 * time.Millisecond
	// jsonInterval is how often progress is written as JSON.
	jsonInterval = time.Second
	// plainInterval is how often progress is written as lines.
	plainInterval = 10 * time.Second
	// stoppingInterval is how often the calls in flight are counted after an interrupt.
	stoppingInterval = 200 * time.Millisecond
	// listingAfter is how long a listing takes until lines tell of it.
	listingAfter = 2 * time.Second
)

// The forms of progress. progressLog writes to the log of a service.
const (
	progressAuto  = "auto"
	progressLive  = "live"
	progressBar   = "bar"
	progressPlain = "plain"
	progressJSON  = "json"
	progressNone  = "none"
	progressLog   = "log"
)

// progressFlag is the form in which a command shows progress.
type progressFlag string

// String implements [pflag.Value].
func (f *progressFlag) String() string { return string(*f) }

// Type implements [pflag.Value].
func (f *progressFlag) Type() string { return "form" }

// Set implements [pflag.Value].
func (f *progressFlag) Set(s string) error {
	if s == progressLive {
		return errors.New("live comes later; use --progress bar")
	}
	forms := []string{progressAuto, progressBar, progressPlain, progressJSON, progressNone}
	if !slices.Contains(forms, s) {
		return errors.New(text.NotOneOf(s, forms...))
	}
	*f = progressFlag(s)
	return nil
}

// progress shows how far a command is: a bar, lines, or JSON. The nil progress shows nothing.
type progress struct {
	c     *cli
	log   *slog.Logger
	form  string
	phase string    // of JSON
	shown time.Time // last update
}

// newProgress returns a progress in a form. Without a terminal that can redraw a line, a bar
// becomes lines.
func (a *app) newProgress(form progressFlag) *progress {
	p := &progress{c: a.cli, log: a.log, form: string(form), phase: "working"}
	switch {
	case form == progressAuto && a.quiet:
		p.form = progressNone
	case form == progressAuto && a.stderr.CanRedraw():
		p.form = progressBar
	case form == progressAuto, form == progressBar && !a.stderr.CanRedraw():
		p.form = progressPlain
	case form == progressJSON:
		// Every line on stderr is JSON then.
		if a.records == nil {
			a.records = terminal.NewLog(a.stderr, true, slog.LevelInfo)
		}
		if a.sentences != nil {
			a.sentences, a.log = nil, terminal.NewLog(a.stderr, true, slog.LevelWarn)
		}
	}
	return p
}

// listingProgress returns a progress for a command that only lists. A service logs it.
func (a *app) listingProgress() *progress {
	p := a.newProgress(progressAuto)
	if p.form == progressPlain && a.sentences == nil {
		p.form = progressLog
	}
	return p
}

// progressLine is one line of --progress json. Its fields are an interface for users. Those of a
// run have the names of `status -o json`.
type progressLine struct {
	Time  time.Time `json:"time"`
	Phase string    `json:"phase"` // listing, working, stopping or ended
	// Fields of a listing.
	Source     string   `json:"source,omitempty"`
	Listed     *int64   `json:"listed,omitempty"`
	ListedRate *float64 `json:"listed_per_second,omitempty"`
	// Fields of the work.
	*workLine
	// Fields of an interrupt.
	InFlight *int     `json:"calls_in_flight,omitempty"`
	Left     *float64 `json:"seconds_left,omitempty"`
}

type workLine struct {
	Runs      []string      `json:"runs"`
	Documents ledger.Totals `json:"documents"`
	Rate      float64       `json:"documents_per_second"`
	ETA       *float64      `json:"eta_seconds"`
	Tokens    tokensView    `json:"tokens"`
	Calls     int64         `json:"calls"`
	CostUSD   *float64      `json:"cost_usd"`
	// Waiting is why a run does not go on now, else null.
	Waiting *runprogress.Waiting `json:"waiting"`
}

func (p *progress) writeJSON(line progressLine) {
	line.Time = time.Now().UTC()
	encoded, err := json.Marshal(line)
	if err != nil {
		p.log.Warn("cannot write the progress", "error", err)
		return
	}
	_, _ = p.c.stderr.Write(append(text.TerminalSafeJSON(encoded), '\n')) // never fails
}

// listing shows the progress of a listing until stop is called. The lister counts in listed.
func (p *progress) listing(source string) (listed *atomic.Int64, stop func()) {
	listed = &atomic.Int64{}
	if p == nil || p.form == progressNone {
		return listed, func() {}
	}
	ended := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() { p.showListing(source, listed, ended) })
	return listed, func() {
		close(ended)
		showing.Wait()
		p.c.stderr.Hide()
	}
}

func (p *progress) showListing(source string, listed *atomic.Int64, ended <-chan struct{}) {
	begun := time.Now()
	due := begun.Add(p.interval())
	if p.form == progressPlain || p.form == progressLog {
		due = begun.Add(listingAfter)
	}
	tick := time.NewTicker(barInterval)
	defer tick.Stop()
	var last int64 = -1
	for {
		select {
		case <-ended:
			return
		case now := <-tick.C:
			n := listed.Load()
			if now.Before(due) || n == last {
				continue
			}
			due, last = now.Add(p.interval()), n
			perSecond := float64(n) / now.Sub(begun).Seconds()
			said := fmt.Sprintf("listing %s: %s, %s/s", text.TerminalLine(source), count(n, "document"), number(int64(perSecond)))
			switch p.form {
			case progressBar:
				p.c.stderr.Show(func(width int) []string { return text.Wrap(said, width-1) })
			case progressJSON:
				p.writeJSON(progressLine{Phase: "listing", Source: source, Listed: &n, ListedRate: &perSecond})
			case progressLog:
				p.log.Info("listing", "source", source, "documents", n, "per_second", int64(perSecond))
			default:
				p.c.say("%s", said)
			}
		}
	}
}

func (p *progress) interval() time.Duration {
	switch p.form {
	case progressBar:
		return barInterval
	case progressJSON:
		return jsonInterval
	}
	return plainInterval
}

// begin shows what was done before the work begins, in the forms that show it at once. Counting
// takes long for a large run.
func (p *progress) begin(read func() ([]statusView, error)) error {
	p.shown, p.phase = time.Now(), "working"
	if p.form != progressBar && p.form != progressJSON {
		return nil
	}
	all, err := read()
	if err == nil {
		p.update(all, time.Now())
	}
	return err
}

// due reports whether it is time for an update.
func (p *progress) due(now time.Time) bool {
	return p.form != progressNone && now.Sub(p.shown) >= p.interval()
}

// sums are the figures of all runs of a command.
type sums struct {
	documents ledger.Totals
	tokens    tokensView
	calls     int64
	flagged   int64
	reused    int64
	savedNano int64
	cost      *int64               // nano-USD; nil: not known
	rate      float64              // documents per second
	waiting   *runprogress.Waiting // of the first run that waits
	runs      []string
}

func sum(all []statusView) sums {
	var cost int64
	s := sums{cost: &cost}
	for _, v := range all {
		s.runs = append(s.runs, v.Run)
		s.documents.Total += v.Documents.Total
		s.documents.Done += v.Documents.Done
		s.documents.Dead += v.Documents.Dead
		s.documents.Skipped += v.Documents.Skipped
		s.documents.Remaining += v.Documents.Remaining
		s.tokens.In += v.Tokens.In
		s.tokens.Out += v.Tokens.Out
		s.calls += v.Calls
		s.flagged += v.Flagged
		s.reused += v.Reused
		s.savedNano += v.savedNano
		s.rate += v.Rate
		if s.waiting == nil {
			s.waiting = v.Waiting
		}
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
	var eta *float64
	if s.rate > 0 && s.documents.Remaining > 0 {
		seconds := float64(s.documents.Remaining) / s.rate
		eta = &seconds
	}
	if p.phase == "working" && s.waiting != nil && s.waiting.Reason == ledger.WaitNoWorkers {
		s.waiting = nil // this process is the worker, and is about to register
	}
	var figures []string
	if s.rate > 0 {
		pace := fmt.Sprintf("%.1f/s", s.rate)
		if eta != nil {
			pace += " ETA " + round(time.Duration(*eta*float64(time.Second)))
		}
		figures = append(figures, pace)
	}
	if tokens := s.tokens.In + s.tokens.Out; tokens > 0 {
		used := number(tokens) + " tokens"
		if s.cost != nil {
			used += " " + usd(s.cost)
		}
		figures = append(figures, used)
	}
	after := strings.Join(figures, " | ")
	ended := s.documents.Done + s.documents.Dead + s.documents.Skipped
	switch p.form {
	case progressNone:
	case progressBar:
		p.c.stderr.Show(func(width int) []string {
			lines := []string{terminal.Bar(width-1, number(ended)+"/"+number(s.documents.Total), ended, s.documents.Total, after)}
			if s.waiting != nil {
				lines = append(lines, text.Wrap(s.waiting.Message, width-1)...)
			}
			return lines
		})
	case progressJSON:
		line := workLine{Runs: s.runs, Documents: s.documents, Rate: s.rate, ETA: eta, Waiting: s.waiting, Tokens: s.tokens, Calls: s.calls}
		if s.cost != nil {
			cost := float64(*s.cost) / 1e9
			line.CostUSD = &cost
		}
		p.writeJSON(progressLine{Phase: p.phase, workLine: &line})
	default:
		said := number(ended) + " of " + count(s.documents.Total, "document")
		if after != "" {
			said += " " + after
		}
		if s.waiting != nil {
			said += "; " + s.waiting.Message
		}
		p.c.say("%s", said)
	}
}

// stopping says, from the end of stop until ended is closed, what is waited for. calls returns the
// number of calls in flight, and grace is the longest time that they have. Every form but JSON says
// it in words: people who interrupt a command want to know what it does.
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
		aborted, n, left := abort.Err() != nil, calls(), max(0, grace-time.Since(begun))
		notice := "stopping: " + stoppingNotice(n, left, aborted)
		due := time.Since(said) >= plainInterval || aborted && !saidAbort
		switch {
		case p.form == progressBar:
			p.c.stderr.Show(func(width int) []string { return text.Wrap(notice, width-1) })
		case p.form == progressJSON && (due || time.Since(said) >= jsonInterval):
			seconds := left.Seconds()
			p.writeJSON(progressLine{Phase: "stopping", InFlight: &n, Left: &seconds})
			said, saidAbort = time.Now(), aborted
		case p.form != progressJSON && due:
			p.c.tell(slog.LevelInfo, notice, notice)
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
	return fmt.Sprintf("finishing %s, up to %s; Ctrl-C again gives them up", count(int64(calls), "call"), round(left))
}

// end shows the last figures, and removes the bar.
func (p *progress) end(all []statusView) {
	if p.form == progressJSON && len(all) > 0 {
		p.phase = "ended"
		p.update(all, time.Now())
	}
	p.c.stderr.Hide()
	p.c.flush()
}

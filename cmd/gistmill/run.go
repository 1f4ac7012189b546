package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

const (
	// askAbove is the estimate in USD above which `run` asks on a terminal.
	askAbove = 5.0
	// runSample is how many documents `run` reads for its estimate.
	runSample = 100
	// runPoll is how often the embedded queue is asked when it is empty.
	runPoll = 50 * time.Millisecond
	// runLook is how often it is asked whether the runs have ended.
	runLook = 20 * time.Millisecond
	// runPutEvery is how often partitions that this process's queue lacks are put into it.
	runPutEvery = 5 * time.Second
)

func (c *cli) runCommand() *cobra.Command {
	var sources sourceFlags
	var force, wait, yes bool
	command := &cobra.Command{
		Use:   "run SOURCE...",
		Short: "Do the whole job here: list, summarize, write the summaries",
		Long: `Run lists each source, summarizes what is new or changed, and writes the summaries into a folder: summaries.jsonl with a line for every
document, and a Markdown file a document, which is there as soon as its document is done. Nothing needs to be installed: the queue is in
the process and the ledger is a file in .gistmill. Without an API key or a base URL the built-in engine picks the summary out of the text;
it needs no network and costs nothing.

  gistmill run ./docs
  OPENAI_API_KEY=… gistmill run ./docs --budget-usd 2
  gistmill run ./docs --base-url http://localhost:11434/v1 --model llama3.2
  gistmill run s3://bucket/reports?region=eu-central-1 --include '**/*.pdf' --out -`,
		Args: atLeastOneSource,
	}
	load := c.settings(command, "api-key")
	command.RunE = func(command *cobra.Command, args []string) error {
		a, err := load()
		if err != nil {
			return err
		}
		defer a.close()
		return a.run(args, &sources, planOptions{force: force, wait: wait}, yes)
	}
	sources.add(command)
	command.Flags().BoolVar(&force, "force", false, "do every document again; summaries made before do not count")
	command.Flags().BoolVar(&wait, "wait", false, "wait while another process plans the same source and profile")
	command.Flags().BoolVarP(&yes, "yes", "y", false, fmt.Sprintf("do not ask when the estimate is above %g USD", askAbove))
	return command
}

// run plans the sources, works until their runs have ended, and writes the summaries.
func (a *app) run(sources []string, flags *sourceFlags, o planOptions, yes bool) error {
	begun := time.Now()
	show := newProgress(a.stderr, begun)
	defer show.end()
	a.quietLog(show)
	if err := a.checkBudget(); err != nil {
		return err
	}
	if err := a.open(a.stop, queueEmbedded); err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(a.config.Store, "sqlite:"); ok {
		o.spool = filepath.Join(filepath.Dir(path), "stdin")
	}
	o.confirm = func(ctx context.Context, src *source.Source, profile summarize.Profile, p enqueuer.Plan) error {
		return a.confirm(ctx, src, profile, p, yes)
	}
	if err := flags.check(a.stop, a, sources); err != nil {
		return err
	}
	var runs []ledger.Run
	for i, raw := range sources {
		plan, err := a.plan(a.stop, raw, flags, o)
		if err != nil {
			return err
		}
		if i == 0 && a.config.Model == summarize.Extractive {
			a.say("model extractive: the built-in engine, no network, no cost (set OPENAI_API_KEY or --base-url for an LLM)")
		}
		a.say("%s", describePlan(plan))
		runs = slices.DeleteFunc(runs, func(r ledger.Run) bool { return r.ID == plan.Run.ID }) // a source that is given twice
		runs = append(runs, plan.Run)
	}
	var early *export.EarlyWriter
	if a.config.Out != "-" {
		early = export.NewEarlyWriter(a.config.Out)
	}
	views, err := a.workOn(runs, show, early)
	show.end()
	if err != nil {
		return err
	}
	if err := a.writeSummaries(views, runs, early, time.Since(begun)); err != nil {
		return err
	}
	for _, v := range views {
		if v.State == ledger.Running { // only an interrupt leaves a run so
			a.say("interrupted with %s to do; nothing is lost, the same command goes on", number(v.Documents.Remaining))
			return &exitError{code: exitInterrupted}
		}
	}
	return a.outcome(views)
}

// quietLog shows warnings only, above the bar, unless a level was asked for: `run` has its own voice.
func (a *app) quietLog(out io.Writer) {
	cfg := a.config
	for _, e := range cfg.Explain() {
		if e.Setting == "log-level" && e.Origin == "default" {
			cfg.LogLevel = slog.LevelWarn
		}
	}
	if cfg.LogFormat == "auto" {
		cfg.LogFormat = "text"
	}
	a.log = newLog(out, cfg)
}

// confirm says what the first paid call leads to, and asks where it is much.
func (a *app) confirm(ctx context.Context, src *source.Source, profile summarize.Profile, p enqueuer.Plan, yes bool) error {
	if profile.Model == summarize.Extractive || p.Count.Pending == 0 {
		return nil
	}
	e, err := a.estimate(ctx, src, profile, p.Count.Pending, p.Sample[:min(len(p.Sample), runSample)])
	if err != nil {
		return fmt.Errorf("estimate: %w", err)
	}
	endpoint := config.RedactURL(a.config.BaseURL)
	if endpoint == "" {
		endpoint = "api.openai.com"
	}
	a.say("%s at %s", describeEstimate(e, profile.Model), endpoint)
	if yes || e.CostUSDMost == nil || *e.CostUSDMost <= askAbove || !isTerminal(a.stdin) {
		return nil
	}
	fmt.Fprint(a.stderr, "Go on? [y/N] ")
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &exitError{exitFailed, "not begun; the plan is kept, and nothing was called"}
}

// workOn runs a worker until every run has ended or the user interrupts, and returns where they stand. Pages are written meanwhile.
func (a *app) workOn(runs []ledger.Run, show *progress, early *export.EarlyWriter) ([]statusView, error) {
	var done func(ledger.Exported)
	if early != nil {
		done = early.Add
	}
	w, err := a.worker(workerOptions{poll: runPoll, endWhenFull: true, done: done})
	if err != nil {
		return nil, err
	}
	ended, end := context.WithCancel(a.stop)
	defer end()
	var working sync.WaitGroup
	var workErr error
	// What is asked and written after an interrupt still has to be.
	base := context.WithoutCancel(a.stop)
	if early != nil {
		go early.Run(base)
	}
	if anyRunning(runs) {
		working.Go(func() {
			workErr = a.work(ended, a.abort, w)
			end()
		})
		working.Go(func() { a.keepEnqueued(ended, runs) })
	}
	for ; ended.Err() == nil; _ = pause(ended, runLook) {
		open, err := a.anyOpen(base, runs)
		if err == nil && !open {
			break
		}
		if now := time.Now(); err == nil && show.due(now) {
			var views []statusView
			if views, err = a.look(base, runs); err == nil {
				show.update(views, now)
			}
		}
		if err != nil {
			a.log.Warn("progress is not known", "error", err)
		}
	}
	end()
	working.Wait()
	if early != nil {
		early.Close()
	}
	if workErr != nil {
		return nil, workErr
	}
	return a.look(base, runs)
}

// keepEnqueued puts into the queue what another process held when the runs were planned, and holds no more: it was killed,
// or interrupted. Its own queue may have ended with it.
func (a *app) keepEnqueued(ctx context.Context, runs []ledger.Run) {
	for pause(ctx, runPutEvery) == nil {
		for _, r := range runs {
			if _, err := a.recovery.EnqueueMissing(ctx, r, true); err != nil && ctx.Err() == nil {
				a.log.Warn("work that nobody holds was not enqueued, trying again", "run", r.Name, "error", err)
			}
		}
	}
}

func anyRunning(runs []ledger.Run) bool {
	for _, r := range runs {
		if r.State == ledger.Running {
			return true
		}
	}
	return false
}

// anyOpen says whether any of the runs goes on.
func (a *app) anyOpen(ctx context.Context, runs []ledger.Run) (bool, error) {
	for _, r := range runs {
		run, err := a.ledger.RunByID(ctx, r.ID)
		if err != nil || run.State == ledger.Running {
			return true, err
		}
	}
	return false, nil
}

// look counts where runs stand.
func (a *app) look(ctx context.Context, runs []ledger.Run) (views []statusView, err error) {
	for _, r := range runs {
		run, err := a.ledger.RunByID(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		v, err := a.status(ctx, run)
		if err != nil {
			return nil, err
		}
		views = append(views, v)
	}
	return views, nil
}

// writeSummaries leaves a line and a file for every document of the sources that has a summary.
func (a *app) writeSummaries(views []statusView, runs []ledger.Run, early *export.EarlyWriter, took time.Duration) error {
	ctx := context.WithoutCancel(a.stop)
	each := func(yield func(ledger.Exported) error) error {
		for _, r := range runs {
			if err := report.New(a.ledger).Summaries(ctx, report.SummaryFilter{SourceID: r.SourceID, ProfileID: r.ProfileID}, yield); err != nil {
				return err
			}
		}
		return nil
	}
	var n int
	var err error
	if a.config.Out == "-" {
		n, err = export.JSONL(a.stdout, each)
	} else {
		n, err = export.Folder(ctx, a.config.Out, early, each)
	}
	if err != nil {
		return fmt.Errorf("write the summaries: %w", err)
	}
	var t ledger.Totals
	var calls, flagged int64
	for _, v := range views {
		flagged += v.Flagged
		t.Done += v.Documents.Done
		t.Dead += v.Documents.Dead
		t.Skipped += v.Documents.Skipped
		calls += v.Calls
	}
	place := "in " + a.config.Out
	if a.config.Out == "-" {
		place = "on standard output"
	}
	a.say("%s done, %s unchanged, %s dead, %s, in %s; %s %s", number(t.Done), number(t.Skipped), number(t.Dead), count(calls, "call"), round(took),
		summaries(int64(n)), place)
	if flagged > 0 {
		a.say("%s with findings of the checks: `gistmill show URI` says which, and so does \"checks\" of each summary", summaries(flagged))
	}
	return nil
}

func summaries(n int64) string {
	if n == 1 {
		return "1 summary"
	}
	return number(n) + " summaries"
}

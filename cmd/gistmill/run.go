package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/text"
	"github.com/gistmill/gistmill/internal/usage"
	"github.com/gistmill/gistmill/worker"
)

// runOptions are the options of `run` beyond the sources and the settings.
type runOptions struct {
	planOptions
	yes, dryRun bool
	sample      int
	progress    progressFlag
	output      outputFlag
}

func (c *cli) runCommand() *cobra.Command {
	var sources sourceFlags
	o := runOptions{progress: progressAuto}
	command := &cobra.Command{
		Use:   "run SOURCE...",
		Short: "Summarize sources on this machine",
		Long: `Run lists each source, summarizes new and changed documents, and writes all summaries to a folder:
summaries.jsonl with one line for each document, and a Markdown page for each document as soon as
it is done.

It needs no other software: the queue is part of the process, and the ledger is a file in .gistmill.
Without an API key or a base URL it uses the built-in extractive engine, which selects sentences of
the document, needs no network and costs nothing.

  gistmill run ./docs
  OPENAI_API_KEY=… gistmill run ./docs --budget-usd 2
  gistmill run ./docs --model gpt-4o-mini --sample 5
  gistmill run ./docs --base-url http://localhost:11434/v1 --model llama3.2
  gistmill run s3://bucket/reports --include '**/*.pdf' --out -`,
		Args: sourceArgs,
	}
	settingFlags(command, "run", needsSettings, "api-key")
	command.RunE = func(command *cobra.Command, args []string) error {
		if o.dryRun { // without a key
			return c.withApp(command, previewsLedger, func(ctx context.Context, a *app) error {
				a.progress = a.newProgress(o.progress)
				return a.dryRun(ctx, args, &sources, o.force, o.output)
			})
		}
		return c.withApp(command, needsSettings, func(_ context.Context, a *app) error { return a.run(args, &sources, o) }, "api-key")
	}
	sources.add(command)
	addPlanFlags(command, &o.force, &o.wait)
	addYesFlag(command, &o.yes, ifAbove)
	addDryRunFlag(command, &o.dryRun)
	command.Flags().IntVar(&o.sample, "sample", 0, "summarize `N` random documents first, print their summaries and what the rest will cost, and ask whether to go on")
	command.Flags().Var(&o.progress, "progress", "progress on standard error: auto (a bar on a terminal, otherwise plain), bar, plain (lines), json (an object a line) or none")
	usage.SetGroup(command.Flags(), usage.Output, "progress")
	o.output.add(command)
	return command
}

// runResult is the result of `run` as JSON. Its fields are an interface for users.
type runResult struct {
	Runs      []statusView `json:"runs"`
	Summaries *int64       `json:"summaries"` // written to out; null: none were written
	Out       string       `json:"out"`
	Took      float64      `json:"took_seconds"`
	ExitCode  int          `json:"exit_code"`
	Reason    *string      `json:"reason"` // of an exit code that is not 0

	runs []ledger.Run
}

// run plans the sources, works until their runs end, and writes the summaries and the result.
func (a *app) run(args []string, flags *sourceFlags, o runOptions) error {
	switch {
	case o.output.json && a.config.Out == outStdout:
		return &usageError{errors.New("-o json and --out - both write to standard output: give --out a folder, or --out none")}
	case o.sample < 0:
		return &usageError{fmt.Errorf("--sample is %d, but must not be negative", o.sample)}
	}
	a.progress = a.newProgress(o.progress)
	begun := time.Now()
	result := runResult{Runs: []statusView{}, Out: a.config.Out}
	err := a.summarize(args, flags, o, &result, begun)
	if err != nil && a.stop.Err() != nil && !a.began {
		err = &exitError{exitInterrupted, "interrupted; nothing was begun and no call was made; run the same command again to start"}
	}
	if !o.output.json {
		return err
	}
	if len(result.runs) > 0 {
		views, statusErr := a.statuses(context.WithoutCancel(a.stop), result.runs)
		if statusErr != nil {
			a.log.Warn("cannot read the status of the runs", "error", statusErr)
		} else {
			result.Runs = views
		}
	}
	result.Took = time.Since(begun).Seconds()
	if err != nil {
		code, lines := a.ending("gistmill run", err)
		if code == exitInterrupted && len(lines) == 0 { // the message was printed before
			lines = []string{"interrupted"}
		}
		reason := strings.ReplaceAll(strings.Join(lines, "; "), "\ngistmill: ", "; ")
		result.ExitCode, result.Reason = code, &reason
	}
	return errors.Join(err, o.output.write(a.stdout, result, nil))
}

// summarize plans the sources, works until their runs end, and writes the summaries.
func (a *app) summarize(args []string, flags *sourceFlags, o runOptions, result *runResult, begun time.Time) error {
	if err := a.checkBudget(); err != nil {
		return err
	}
	if err := a.checkService(); err != nil {
		return err
	}
	if err := a.checkOut(args); err != nil {
		return err
	}
	sources, err := flags.check(a.stop, a, args)
	if err != nil {
		return err
	}
	if err := checkMatches(a.stop, a, sources); err != nil {
		return err
	}
	out, err := a.openOutput()
	if err != nil {
		return err
	}
	defer out.close()
	if err := a.open(a.stop, embedsQueue); err != nil {
		return err
	}
	if path, ok := strings.CutPrefix(a.config.Store, "sqlite:"); ok {
		o.spool = filepath.Join(filepath.Dir(path), "stdin")
	}
	if err := checkMatches(a.stop, a, sources); err != nil {
		return err
	}
	all, err := a.prepare(a.stop, sources, flags, o.planOptions)
	if err != nil {
		return err
	}
	if a.config.Model == summarize.Extractive {
		a.say("model extractive: the built-in engine, no network, no cost (set OPENAI_API_KEY or --base-url for an LLM)")
	}
	for _, p := range all {
		a.say("%s", describePlan(p.Plan))
		result.runs = append(result.runs, p.Run)
	}
	runs := result.runs
	goOn := true
	if o.sample > 0 {
		all, goOn, err = a.runSample(all, o)
	} else {
		err = a.confirm(a.stop, all, o.yes)
	}
	if err != nil {
		return err
	}
	if goOn {
		if err := a.publish(all); err != nil {
			return err
		}
		for _, p := range all {
			runs[slices.IndexFunc(runs, func(r ledger.Run) bool { return r.ID == p.Run.ID })] = p.Run
		}
	}
	early, err := out.begin(a.stop, runs)
	if err != nil {
		return err
	}
	var views []statusView
	if goOn {
		views, err = a.workOn(runs, early, nil)
	} else {
		views, err = a.statuses(context.WithoutCancel(a.stop), runs)
	}
	if err != nil {
		return err
	}
	if result.Summaries, err = a.writeSummaries(views, runs, out, time.Since(begun)); err != nil {
		return err
	}
	// Only an interrupt leaves a run in this state.
	if slices.ContainsFunc(views, func(v statusView) bool { return v.State == ledger.Running }) {
		a.say("interrupted with %s to do; nothing is lost, run the same command again to continue", count(sum(views).documents.Remaining, "document"))
		failed, budget := stoppedRuns(slices.DeleteFunc(views, func(v statusView) bool { return v.Message == ledger.NotConfirmed }))
		return &exitError{exitInterrupted, strings.Join(append(failed, budget...), "\n")}
	}
	if !goOn && endedAsSample(views) && slices.ContainsFunc(views, func(v statusView) bool { return v.State == ledger.Stopped }) {
		return nil
	}
	return a.outcome(views)
}

// runSample works on a random sample of what remains, prints its summaries and what the rest will
// cost, and asks whether to go on. If so, it returns the plans that are left to publish. The sample
// belongs to the same runs, so that nothing is paid for twice.
func (a *app) runSample(all plans, o runOptions) (rest plans, goOn bool, err error) {
	var remaining int64
	for _, p := range all {
		remaining += p.Remaining
	}
	n := min(int64(o.sample), remaining)
	if n == 0 {
		return all, true, nil
	}
	sum, err := a.estimatePlans(a.stop, all, estimateSample)
	if err == nil && sum != nil && !o.yes {
		if sample := sum.Share(n); a.above(all, &sample) {
			about := describeCost(sample, "sample of "+count(n, "document"))
			a.say("%s", about)
			err = a.askToStart(&sample, about)
		}
	}
	if err != nil {
		return nil, false, a.refuse(all, err)
	}
	defer func() {
		if !goOn {
			all.close(err)
		}
	}()
	runs, err := a.publishSample(all, n)
	if err != nil {
		return nil, false, err
	}
	before, err := a.statuses(a.stop, runs)
	if err != nil {
		return nil, false, err
	}
	after, err := a.workOnSample(runs)
	if err != nil || !endedAsSample(after) {
		return nil, false, err
	}
	left := remaining - n
	if left == 0 {
		return nil, false, nil
	}
	if err := a.saySample(before, after, left); err != nil {
		return nil, false, err
	}
	switch {
	case o.yes:
	case !a.canAsk():
		said := "stopped after the sample; to go on, type: " + a.commandWith("--yes", "--sample")
		a.tell(slog.LevelInfo, said, said)
		return nil, false, nil
	default:
		yes, err := a.ask("Go on with the other " + count(left, "document") + "?")
		if err == nil && !yes {
			a.say("Stopped after the sample. Run the command again to go on.")
		}
		if err != nil || !yes {
			return nil, false, err
		}
	}
	rest, err = a.reopenAll(all)
	return rest, err == nil, err
}

// workOnSample works until the runs of a sample have ended or stopped, and prints the summaries.
func (a *app) workOnSample(runs []ledger.Run) ([]statusView, error) {
	var mu sync.Mutex
	var done []ledger.Exported
	views, err := a.workOn(runs, nil, func(e ledger.Exported) {
		mu.Lock()
		defer mu.Unlock()
		done = append(done, e)
	})
	if err != nil {
		return nil, err
	}
	width := 78
	if columns := a.stderr.Width(); columns > 0 {
		width = min(width, columns-len("  ")-1)
	}
	for _, e := range done {
		if a.records != nil {
			a.records.Info("summary of the sample", "doc", e.URI, "summary", e.Summary.Text)
			continue
		}
		lines := append([]string{text.TerminalLine(e.URI)}, text.Wrap(e.Summary.Text, width)...)
		fmt.Fprintf(a.stderr, "\n%s\n", strings.Join(lines, "\n  "))
	}
	return views, nil
}

// saySample says what a sample has cost, and what the documents that are left will cost and take.
func (a *app) saySample(before, after []statusView, left int64) error {
	was, is := sum(before), sum(after)
	documents := is.documents.Done + is.documents.Dead - was.documents.Done - was.documents.Dead
	if documents == 0 {
		return nil
	}
	factor := float64(left) / float64(documents)
	cost, total := "an unknown cost", "cost unknown"
	if is.cost != nil && was.cost != nil {
		usd := float64(*is.cost-*was.cost) / 1e9
		cost, total = text.USD(usd), "about "+text.USD(usd*factor)
	}
	rest := enqueuer.Estimate{Calls: int64(math.Ceil(float64(is.calls-was.calls) * factor))}
	if err := a.addTime(a.stop, after[0].Model, &rest); err != nil {
		return err
	}
	if rest.Seconds != nil {
		total += ", about " + round(time.Duration(*rest.Seconds*float64(time.Second)))
	}
	said := fmt.Sprintf("sample: %s for %s; the other %s: %s", count(documents, "document"), cost, number(left), total)
	a.tell(slog.LevelInfo, said, said) // a result, and what the question is about
	return nil
}

// publishSample publishes n random documents of all plans, and closes these. It returns the runs
// that have documents of the sample, as they were before.
func (a *app) publishSample(all plans, n int64) (runs []ledger.Run, err error) {
	defer func() {
		for _, p := range all {
			p.Plan.Close()
		}
	}()
	share := shares(all, n)
	for i, p := range all {
		switch {
		case share[i] > 0:
			err = p.PublishSample(p.ctx, share[i])
			runs = append(runs, p.Run)
		case p.Remaining > 0:
			err = p.Refuse(p.ctx)
		default:
			err = p.Publish(p.ctx)
		}
		if errors.Is(err, ledger.ErrWorkers) {
			err = fmt.Errorf("%w: wait until they are done, or leave out --sample", err)
		}
		if err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// shares draws n of the remaining documents of all plans, and returns their numbers by plan.
func shares(all plans, n int64) []int {
	left := make([]int64, len(all)) // documents that are not drawn
	var total int64
	for i, p := range all {
		left[i] = p.Remaining
		total += p.Remaining
	}
	share := make([]int, len(all))
	for ; n > 0; n-- {
		drawn := rand.Int64N(total)
		i := 0
		for ; drawn >= left[i]; i++ {
			drawn -= left[i]
		}
		left[i]--
		share[i]++
		total--
	}
	return share
}

// reopenAll reopens the plans that have documents left after a sample, and closes the others.
func (a *app) reopenAll(all plans) (rest plans, err error) {
	e, err := a.enqueuer()
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		run, err := a.ledger.RunByID(a.stop, p.Run.ID)
		if err != nil {
			return nil, err
		}
		if run.State == ledger.Finished {
			p.close(nil)
			continue
		}
		if p.Plan, err = e.Reopen(a.stop, run, nil, nil); err != nil {
			return nil, err
		}
		a.setService(p.Plan, a.config.IsSet)
		rest = append(rest, p)
	}
	return rest, nil
}

// endedAsSample reports whether the runs of a sample have ended because it was done.
func endedAsSample(views []statusView) bool {
	return !slices.ContainsFunc(views, func(v statusView) bool {
		return v.State != ledger.Finished && (v.State != ledger.Stopped || v.Message != ledger.NotConfirmed)
	})
}

// writeSummaries writes the summaries of all documents of the runs' sources, and prints the result.
// It returns the number of summaries; nil with --out none.
func (a *app) writeSummaries(views []statusView, runs []ledger.Run, out *output, took time.Duration) (written *int64, err error) {
	written, place, err := out.write(context.WithoutCancel(a.stop), runs)
	if err != nil {
		return nil, fmt.Errorf("write the summaries: %w; all summaries are in the ledger %s, and `gistmill export DEST` writes them", err, config.RedactURL(a.config.Store))
	}
	s := sum(views)
	used := count(s.calls, "call")
	if s.reused > 0 {
		used += ", " + reused(s.reused, s.savedNano)
	}
	a.say("%s; %s", describeWork(a.did, s, used, took), place)
	if s.flagged > 0 {
		a.say("%s with findings; see `gistmill show URI`, or \"checks\" in the output", summaries(s.flagged))
	}
	return written, nil
}

// describeWork returns what this process did in a time. If others have worked on the runs, the
// figures of the runs follow. used are their calls in words.
func describeWork(did worker.Did, s sums, used string, took time.Duration) string {
	t := s.documents
	whole := fmt.Sprintf("%s done, %s unchanged, %s dead, %s", number(t.Done), number(t.Skipped), number(t.Dead), used)
	if did.Done == t.Done && did.Calls == s.calls {
		return whole + ", in " + round(took)
	}
	return fmt.Sprintf("%s done, %s dead, %s, in %s; the whole run: %s", number(did.Done), number(did.Dead), count(did.Calls, "call"), round(took), whole)
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/summarize"
)

func (c *cli) runCommand() *cobra.Command {
	var sources sourceFlags
	var force, wait, yes bool
	command := c.command("run", needsSettings, &cobra.Command{
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
  gistmill run ./docs --base-url http://localhost:11434/v1 --model llama3.2
  gistmill run s3://bucket/reports --include '**/*.pdf' --out -`,
		Args: sourceArgs,
	}, func(_ context.Context, a *app, args []string) error {
		return a.run(args, &sources, planOptions{force: force, wait: wait}, yes)
	}, "api-key")
	sources.add(command)
	addPlanFlags(command, &force, &wait)
	addYesFlag(command, &yes)
	return command
}

// run plans the sources, works until their runs end, and writes the summaries.
func (a *app) run(args []string, flags *sourceFlags, o planOptions, yes bool) error {
	begun := time.Now()
	a.useQuietLog()
	if err := a.checkBudget(); err != nil {
		return err
	}
	if err := a.checkOut(args); err != nil {
		return err
	}
	sources, err := flags.check(a.stop, a, args)
	if err != nil {
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
	if err := flags.checkMatches(a.stop, a); err != nil {
		return err
	}
	all, err := a.prepare(a.stop, sources, flags, o)
	if err != nil {
		return err
	}
	if a.config.Model == summarize.Extractive {
		a.say("model extractive: the built-in engine, no network, no cost (set OPENAI_API_KEY or --base-url for an LLM)")
	}
	for _, p := range all {
		a.say("%s", describePlan(p.Plan))
	}
	if err := a.confirm(a.stop, all, yes); err != nil {
		return err
	}
	if err := a.publish(all); err != nil {
		return err
	}
	var runs []ledger.Run
	for _, p := range all {
		runs = append(runs, p.Run)
	}
	show := newProgress(a.stderr)
	defer show.end()
	early, err := out.begin(a.stop, runs)
	if err != nil {
		return err
	}
	views, err := a.workOn(runs, show, early)
	show.end()
	if err != nil {
		return err
	}
	if err := a.writeSummaries(views, runs, out, time.Since(begun)); err != nil {
		return err
	}
	for _, v := range views {
		if v.State == ledger.Running { // only an interrupt leaves a run in this state
			a.say("interrupted with %s to do; nothing is lost, run the same command again to continue", count(v.Documents.Remaining, "document"))
			return &exitError{code: exitInterrupted}
		}
	}
	return a.outcome(views)
}

// useQuietLog logs only warnings unless the user set a log level: `run` prints its own messages.
func (a *app) useQuietLog() {
	cfg := a.config
	for _, e := range cfg.Explain() {
		if e.Setting == "log-level" && e.Origin == "default" {
			cfg.LogLevel = slog.LevelWarn
		}
	}
	if cfg.LogFormat == "auto" {
		cfg.LogFormat = "text"
	}
	a.log = newLog(a.stderr, cfg)
}

// writeSummaries writes the summaries of all documents of the runs' sources, and prints the result.
func (a *app) writeSummaries(views []statusView, runs []ledger.Run, out *output, took time.Duration) error {
	place, err := out.write(context.WithoutCancel(a.stop), runs)
	if err != nil {
		return fmt.Errorf("write the summaries: %w; all summaries are in the ledger %s, and `gistmill export DEST` writes them", err, config.RedactURL(a.config.Store))
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
	a.say("%s done, %s unchanged, %s dead, %s, in %s; %s", number(t.Done), number(t.Skipped), number(t.Dead), count(calls, "call"), round(took), place)
	if flagged > 0 {
		a.say("%s with findings; see `gistmill show URI`, or \"checks\" in the output", summaries(flagged))
	}
	return nil
}

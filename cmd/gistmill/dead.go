package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/text"
)

// deadFlags choose dead letters.
type deadFlags struct {
	class, run, uri string
	gone            bool
}

func (f *deadFlags) add(c *cli, command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.class, "class", "", "only dead letters of this `class`: input, exhausted, refused, …")
	flags.StringVar(&f.run, "run", "", "only documents that are dead in this `run`")
	flags.StringVar(&f.uri, "uri", "", "only documents whose URI matches this `glob` (** crosses folders)")
	flags.BoolVar(&f.gone, "gone", false, "documents that are gone from their source, too")
	completeFlag(command, "class", fixed(
		"input\tunreadable, encrypted, empty, too large, a bomb",
		"input_gone\tgone from its source since it was listed",
		"exhausted\tattempts used up",
		"refused\trefused by the model or its content filter",
		"bad_request\trefused by the endpoint",
		"bad_output\tthe answer is not what was asked for",
		"output_too_long\tthe answer does not fit",
		"crashing\tits reader died again and again"))
	completeFlag(command, "run", c.runNames)
}

// filter checks the flags and finds the run.
func (f *deadFlags) filter(ctx context.Context, l *ledger.Ledger) (ledger.DeadFilter, error) {
	filter := ledger.DeadFilter{Class: ledger.Class(f.class), Gone: f.gone}
	if f.uri != "" {
		filter.URI = func(uri string) bool { return doublestar.MatchUnvalidated(f.uri, uri) }
	}
	if f.run != "" {
		run, err := l.Run(ctx, f.run)
		if err != nil {
			return filter, err
		}
		filter.Run = run.ID
	}
	return filter, nil
}

func (f *deadFlags) check() error {
	if !doublestar.ValidatePattern(f.uri) {
		return &usageError{fmt.Errorf("--uri %q is no valid glob", f.uri)}
	}
	return nil
}

const noDead = "no dead letter matches"

func (c *cli) deadCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "See, try again or drop what could not be done",
		Long: `A document that could not be done is a dead letter in the ledger: with its class, a message, its attempts and its history. It is not
tried again until it changes, or until "dead retry" says so.

  gistmill dead list
  gistmill dead list --class input --uri 'reports/**/*.pdf' -o json
  gistmill dead show reports/2026/q1.pdf
  gistmill dead retry --class exhausted
  gistmill dead drop --run 20260131-k7m2qd`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(c.deadListCommand(), c.deadShowCommand(), c.deadRetryCommand(), c.deadDropCommand(), c.deadExportCommand())
	return command
}

// deadAction is a command under `dead` whose settings are those of `dead`.
func (c *cli) deadAction(command *cobra.Command, need queueNeed, flags *deadFlags, do func(ctx context.Context, a *app, f ledger.DeadFilter, args []string) error) *cobra.Command {
	config.AddFlags(command.Flags(), config.ForCommand("dead")...)
	flags.add(c, command)
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := flags.check(); err != nil {
			return err
		}
		a, err := c.settingsOf(command)
		if err != nil {
			return err
		}
		defer a.close()
		if err := a.open(command.Context(), need); err != nil {
			return err
		}
		filter, err := flags.filter(command.Context(), a.ledger)
		if err != nil {
			return err
		}
		return do(command.Context(), a, filter, args)
	}
	return command
}

// errEnough ends a stream that has given what was asked for.
var errEnough = errors.New("enough")

func (c *cli) deadListCommand() *cobra.Command {
	var output outputFlag
	var limit int
	command := c.deadAction(&cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Long: `List shows all dead letters, or those that the flags choose, in the order in which their documents were listed.

  gistmill dead list --class input
  gistmill dead list -o json | jq -r '.[].uri'`,
		Args: cobra.NoArgs,
	}, queueNone, &deadFlags{}, func(ctx context.Context, a *app, f ledger.DeadFilter, _ []string) error {
		if limit < 0 {
			return &usageError{fmt.Errorf("--limit is %d: give how many dead letters at the most", limit)}
		}
		if output.json {
			list := jsonList{stdout: c.stdout}
			if _, err := a.eachDead(ctx, f, limit, func(letter ledger.DeadLetter) error { return list.add(letter) }); err != nil {
				return err
			}
			return list.end()
		}
		n, err := a.eachDead(ctx, f, limit, deadTable(c.stdout))
		if err == nil && n == 0 {
			c.say(noDead)
		}
		return err
	})
	command.Flags().IntVar(&limit, "limit", 0, "only the first `N`")
	output.add(command)
	return command
}

// eachDead gives dead letters one by one, up to limit if that is not 0, and returns how many.
func (a *app) eachDead(ctx context.Context, f ledger.DeadFilter, limit int, each func(ledger.DeadLetter) error) (n int, err error) {
	err = a.ledger.DeadLetters(ctx, f, func(letters []ledger.DeadLetter) error {
		for _, letter := range letters {
			if err := each(letter); err != nil {
				return err
			}
			if n++; n == limit {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return n, err
}

// deadTable writes a line each, after a heading. Columns have fixed widths, since the list may be longer than memory; what
// varies most stands last.
func deadTable(stdout io.Writer) func(ledger.DeadLetter) error {
	const layout = "%-19s  %-15s  %-15s  %8s  %-40s  %s\n"
	begun := false
	return func(letter ledger.DeadLetter) error {
		if !begun {
			begun = true
			if _, err := fmt.Fprintf(stdout, layout, "AT", "RUN", "CLASS", "ATTEMPTS", "URI", "MESSAGE"); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(stdout, layout, when(letter.At), letter.Run, text.TerminalLine(string(letter.Class)), number(letter.Attempts), text.TerminalLine(letter.URI),
			text.TerminalLine(letter.Message))
		return err
	}
}

func (c *cli) deadShowCommand() *cobra.Command {
	var output outputFlag
	command := &cobra.Command{
		Use:   "show URI",
		Short: "Show one dead letter with its history",
		Long: `Show is "gistmill show" for a dead letter: why the document could not be done, and what happened on the way.

  gistmill dead show reports/2026/q1.pdf`,
		Args: oneDocument,
	}
	config.AddFlags(command.Flags(), config.ForCommand("show")...)
	command.RunE = func(command *cobra.Command, args []string) error {
		a, err := c.settingsOf(command)
		if err != nil {
			return err
		}
		defer a.close()
		if err := a.open(command.Context(), queueNone); err != nil {
			return err
		}
		views, err := a.documents(command.Context(), args[0])
		if err != nil {
			return err
		}
		dead := slices.DeleteFunc(slices.Clone(views), func(v report.Document) bool { return v.State != ledger.DocumentDead })
		if len(dead) == 0 {
			return fmt.Errorf("document %q is not dead but %s; `gistmill show` has the rest", views[0].URI, views[0].State)
		}
		if len(dead) > 1 {
			c.say("%s more under other sources or profiles; `gistmill show --all` shows them", count(int64(len(dead)-1), "dead letter"))
		}
		return output.write(c.stdout, documentViewOf(dead[0]), func() error { return describeDocument(c.stdout, dead[0]) })
	}
	output.add(command)
	return command
}

// retriedRun is what became of one run's dead letters. Its JSON fields are relied on.
type retriedRun struct {
	Run       string       `json:"run"`
	Source    string       `json:"source"`
	State     ledger.State `json:"state"`
	Documents int64        `json:"documents"`
	Tasks     *int         `json:"tasks"` // enqueued; null without a Redis

	reason ledger.Reason
}

func (c *cli) deadRetryCommand() *cobra.Command {
	var output outputFlag
	command := c.deadAction(&cobra.Command{
		Use:   "retry",
		Short: "Try dead letters again",
		Long: `Retry makes dead letters pending again, all or those that the flags choose: mend the cause first. Their history and count of attempts are
kept. With --redis they are enqueued at once; else the next "gistmill run" or "gistmill enqueue" of their source tries them. Those of
a run that is stopped wait until "gistmill resume RUN".

  gistmill dead retry
  gistmill dead retry --class exhausted --uri 'reports/**'`,
		Args: cobra.NoArgs,
	}, queueOptional, &deadFlags{}, func(ctx context.Context, a *app, f ledger.DeadFilter, _ []string) error {
		total, runs, err := a.retryDead(ctx, f)
		if err != nil {
			return err
		}
		if total == 0 {
			c.say(noDead)
		}
		view := struct {
			Retried int64        `json:"retried"`
			Runs    []retriedRun `json:"runs"`
		}{total, runs}
		return output.write(c.stdout, view, func() error {
			for _, r := range runs {
				if _, err := fmt.Fprintln(c.stdout, r.text()); err != nil {
					return err
				}
			}
			return nil
		})
	})
	output.add(command)
	return command
}

// retryDead re-drives dead letters in the ledger and enqueues them where that is possible now.
func (a *app) retryDead(ctx context.Context, f ledger.DeadFilter) (total int64, runs []retriedRun, err error) {
	size := ledger.PartitionSize{Documents: a.config.PartitionDocuments, Bytes: a.config.PartitionBytes}
	redriven, err := a.ledger.Redrive(ctx, f, size)
	runs = []retriedRun{}
	// Once begun it is seen through: what is pending in the ledger belongs into the queue.
	for _, num := range slices.Sorted(maps.Keys(redriven)) {
		total += redriven[num]
		run, lookErr := a.ledger.RunByID(ctx, num)
		if lookErr != nil {
			return total, runs, errors.Join(err, lookErr)
		}
		r := retriedRun{Run: run.Name, Source: run.Source, State: run.State, Documents: redriven[num], reason: run.Reason}
		if a.queue != nil && run.State == ledger.Running {
			n, putErr := a.recovery.EnqueueMissing(ctx, run, true)
			if putErr != nil {
				return total, runs, errors.Join(err, fmt.Errorf("dead letters of run %s are pending again, but not enqueued (the next `gistmill enqueue` does it): %w", run.Name, putErr))
			}
			r.Tasks = &n
		}
		runs = append(runs, r)
	}
	return total, runs, err
}

// text says what was done, and what is left to do.
func (r retriedRun) text() string {
	s := fmt.Sprintf("run %s: %s to be tried again, ", r.Run, count(r.Documents, "document"))
	switch {
	case r.Tasks != nil:
		return s + count(int64(*r.Tasks), "task") + " enqueued"
	case r.State == ledger.Stopped && r.reason != ledger.Cancelled:
		return s + fmt.Sprintf("once it goes on: it is stopped, `gistmill resume %s`", r.Run)
	}
	return s + fmt.Sprintf("by the next `gistmill run` or `gistmill enqueue` of %s", text.TerminalLine(r.Source))
}

func (c *cli) deadDropCommand() *cobra.Command {
	var output outputFlag
	command := c.deadAction(&cobra.Command{
		Use:   "drop",
		Short: "Accept the loss of dead letters",
		Long: `Drop takes dead letters off the list, all or those that the flags choose; it asks nothing. Their documents count as skipped until they
change or a run is forced.

  gistmill dead drop --class input --uri '**/*.zip'`,
		Args: cobra.NoArgs,
	}, queueNone, &deadFlags{}, func(ctx context.Context, a *app, f ledger.DeadFilter, _ []string) error {
		n, err := a.ledger.Drop(ctx, f)
		if err != nil {
			return err
		}
		if n == 0 {
			c.say(noDead)
		}
		return output.write(c.stdout, map[string]int64{"dropped": n}, func() error {
			_, err := fmt.Fprintf(c.stdout, "%s dropped\n", count(n, "dead letter"))
			return err
		})
	})
	output.add(command)
	return command
}

func (c *cli) deadExportCommand() *cobra.Command {
	return c.deadAction(&cobra.Command{
		Use:   "export DEST",
		Short: "Write dead letters as JSON lines",
		Long: `Export writes a line of JSON for each dead letter into the file DEST, or to standard output when that is -.

  gistmill dead export dead.jsonl
  gistmill dead export - --class input | jq -r .uri`,
		Args: oneDestination,
	}, queueNone, &deadFlags{}, func(ctx context.Context, a *app, f ledger.DeadFilter, args []string) error {
		var n int
		write := func(w io.Writer) (err error) {
			lines := export.NewLines(w)
			n, err = a.eachDead(ctx, f, 0, func(letter ledger.DeadLetter) error { return lines.Add(letter) })
			return cmp.Or(err, lines.Flush())
		}
		var err error
		place := args[0]
		if place == "-" {
			place, err = "standard output", write(c.stdout)
		} else {
			err = export.File(place, write)
		}
		if err != nil {
			return fmt.Errorf("export dead letters: %w", err)
		}
		c.say("%s to %s", count(int64(n), "dead letter"), place)
		return nil
	})
}

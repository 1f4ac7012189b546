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

	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/text"
)

// deadFlags select dead letters.
type deadFlags struct {
	class, run, uri string
	gone            bool
}

func (f *deadFlags) add(c *cli, command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.class, "class", "", "only dead letters of this `class`: input, exhausted, refused, …")
	flags.StringVar(&f.run, "run", "", "only dead letters of this `run`")
	flags.StringVar(&f.uri, "uri", "", "only documents whose URI matches this `glob` (** matches across folders)")
	flags.BoolVar(&f.gone, "gone", false, "include documents that are gone from their source")
	completeFlag(command, "class", fixed(
		"input\tunreadable, encrypted, empty, too large, or a decompression bomb",
		"input_gone\tgone from its source since it was listed",
		"exhausted\tno attempts left",
		"refused\trefused by the model or its content filter",
		"bad_request\trejected by the endpoint",
		"bad_output\tthe answer does not match the schema",
		"output_too_long\tthe answer exceeds the maximum tokens",
		"crashing\tits reader crashed repeatedly"))
	completeFlag(command, "run", c.runNames())
}

// filter returns the filter of the flags.
func (f *deadFlags) filter(ctx context.Context, l *ledger.Ledger) (ledger.DeadFilter, error) {
	filter := ledger.DeadFilter{Class: ledger.Class(f.class), Gone: f.gone}
	if f.uri != "" {
		filter.Match = func(d ledger.DeadLetter) bool { return doublestar.MatchUnvalidated(f.uri, d.URI) }
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
		return &usageError{fmt.Errorf("--uri %q is not a valid glob", f.uri)}
	}
	return nil
}

const noDeadLetters = "no dead letters match"

func (c *cli) deadCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "List, retry or drop dead letters",
		Long: `A dead letter is a document that could not be summarized. The ledger keeps its class, message, attempts
and history. gistmill works on it again only if it changes, or after "gistmill dead retry".

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

// deadSubcommand is a command whose action receives the dead letters that its flags select.
func (c *cli) deadSubcommand(need needs, command *cobra.Command, do func(ctx context.Context, a *app, f ledger.DeadFilter, args []string) error) *cobra.Command {
	var flags deadFlags
	flags.add(c, command)
	command.PreRunE = func(*cobra.Command, []string) error { return flags.check() }
	return c.command("dead", need, command, func(ctx context.Context, a *app, args []string) error {
		filter, err := flags.filter(ctx, a.ledger)
		if err != nil {
			return err
		}
		return do(ctx, a, filter, args)
	})
}

// errEnough ends a stream at the limit.
var errEnough = errors.New("enough")

func (c *cli) deadListCommand() *cobra.Command {
	var output outputFlag
	var limit int
	command := c.deadSubcommand(needsLedger, &cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Long: `List shows dead letters in the order in which their documents were listed. Flags select some of them.

  gistmill dead list --class input
  gistmill dead list -o json | jq -r '.[].uri'`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, a *app, f ledger.DeadFilter, _ []string) error {
		if limit < 0 {
			return &usageError{fmt.Errorf("--limit is %d, but must not be negative", limit)}
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
			c.say(noDeadLetters)
		}
		return err
	})
	command.Flags().IntVar(&limit, "limit", 0, "list only the first `N`")
	output.add(command)
	return command
}

// eachDead calls each with the dead letters, at most limit unless it is 0, and returns their
// number.
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

// deadTable returns a function that writes a heading and one line for each dead letter. Columns
// have fixed widths, because the list may exceed the memory; the column that varies most comes
// last.
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
	command := c.command("show", needsLedger, &cobra.Command{
		Use:   "show URI",
		Short: "Show one dead letter with its history",
		Long: `Show is "gistmill show" for dead letters: it shows why a document could not be summarized.

  gistmill dead show reports/2026/q1.pdf`,
		Args: documentArg,
	}, func(ctx context.Context, a *app, args []string) error {
		views, err := a.documents(ctx, args[0])
		if err != nil {
			return err
		}
		dead := slices.DeleteFunc(slices.Clone(views), func(v report.Document) bool { return v.State != ledger.DocumentDead })
		if len(dead) == 0 {
			return fmt.Errorf("document %q is not dead but %s; see `gistmill show`", views[0].URI, views[0].State)
		}
		if len(dead) > 1 {
			c.say("%s more in other sources or profiles; use `gistmill show --all` to see them", count(int64(len(dead)-1), "dead letter"))
		}
		return output.write(c.stdout, documentViewOf(dead[0]), func() error { return describeDocument(c.stdout, dead[0]) })
	})
	output.add(command)
	return command
}

// retriedRun is the result for one run's dead letters. Its JSON fields are an interface for users.
type retriedRun struct {
	Run       string       `json:"run"`
	Source    string       `json:"source"`
	State     ledger.State `json:"state"`
	Documents int64        `json:"documents"`
	Tasks     *int         `json:"tasks"` // enqueued; null without Redis

	reason ledger.Reason
}

func (c *cli) deadRetryCommand() *cobra.Command {
	var output outputFlag
	command := c.deadSubcommand(usesQueue, &cobra.Command{
		Use:   "retry",
		Short: "Retry dead letters",
		Long: `Retry makes dead letters pending again; flags select some of them. Fix the cause first. They keep their
history and their number of attempts. If --redis is set, retry enqueues them. Otherwise the next
"gistmill run" or "gistmill enqueue" of their source works on them. Dead letters of a stopped run wait
for "gistmill resume RUN".

  gistmill dead retry
  gistmill dead retry --class exhausted --uri 'reports/**'`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, a *app, f ledger.DeadFilter, _ []string) error {
		total, runs, err := a.retryDead(ctx, f)
		if err != nil {
			return err
		}
		if total == 0 {
			c.say(noDeadLetters)
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

// retryDead makes dead letters pending in the ledger, and enqueues those of running runs if there
// is a queue.
func (a *app) retryDead(ctx context.Context, f ledger.DeadFilter) (total int64, runs []retriedRun, err error) {
	size := ledger.PartitionSize{Documents: a.config.PartitionDocuments, Bytes: a.config.PartitionBytes}
	redriven, err := a.ledger.Redrive(ctx, f, size)
	runs = []retriedRun{}
	// After an error too: pending documents belong in the queue.
	for _, num := range slices.Sorted(maps.Keys(redriven)) {
		total += redriven[num]
		run, readErr := a.ledger.RunByID(ctx, num)
		if readErr != nil {
			return total, runs, errors.Join(err, readErr)
		}
		r := retriedRun{Run: run.Name, Source: run.Source, State: run.State, Documents: redriven[num], reason: run.Reason}
		if a.queue != nil && run.State == ledger.Running {
			n, enqueueErr := a.recovery.EnqueueMissing(ctx, run, true)
			if enqueueErr != nil {
				return total, runs, errors.Join(err, fmt.Errorf("dead letters of run %s are pending again but not enqueued (the next `gistmill enqueue` enqueues them): %w", run.Name, enqueueErr))
			}
			r.Tasks = &n
		}
		runs = append(runs, r)
	}
	return total, runs, err
}

// text returns the result and what to do next.
func (r retriedRun) text() string {
	s := fmt.Sprintf("run %s: %s to retry, ", r.Run, count(r.Documents, "document"))
	switch {
	case r.Tasks != nil:
		return s + count(int64(*r.Tasks), "task") + " enqueued"
	case r.State == ledger.Stopped && r.reason != ledger.Cancelled:
		return s + fmt.Sprintf("after `gistmill resume %s`: the run is stopped", r.Run)
	}
	return s + fmt.Sprintf("with the next `gistmill run` or `gistmill enqueue` of %s", text.TerminalLine(r.Source))
}

func (c *cli) deadDropCommand() *cobra.Command {
	var output outputFlag
	command := c.deadSubcommand(needsLedger, &cobra.Command{
		Use:   "drop",
		Short: "Remove dead letters from the list without retrying them",
		Long: `Drop removes dead letters from the list, without confirmation; flags select some of them. Their documents
count as skipped until they change, or until a run with --force.

  gistmill dead drop --class input --uri '**/*.zip'`,
		Args: cobra.NoArgs,
	}, func(ctx context.Context, a *app, f ledger.DeadFilter, _ []string) error {
		n, err := a.ledger.Drop(ctx, f)
		if err != nil {
			return err
		}
		if n == 0 {
			c.say(noDeadLetters)
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
	return c.deadSubcommand(needsLedger, &cobra.Command{
		Use:   "export DEST",
		Short: "Write dead letters as JSON lines",
		Long: `Export writes each dead letter as a line of JSON to the file DEST, or to standard output if DEST is -.

  gistmill dead export dead.jsonl
  gistmill dead export - --class input | jq -r .uri`,
		Args: destinationArg,
	}, func(ctx context.Context, a *app, f ledger.DeadFilter, args []string) error {
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

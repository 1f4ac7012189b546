package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/enqueuer"
	"github.com/gistmill/gistmill/internal/config"
	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/terminal"
	"github.com/gistmill/gistmill/internal/text"
	"github.com/gistmill/gistmill/internal/usage"
)

// deadFlags select dead letters.
type deadFlags struct {
	class, run, uri, message, group, since string
	limit                                  int
	gone, dropped                          bool
}

// deadFilters are the flags that select dead letters by what they are.
func deadFilters() []string { return []string{"class", "group", "message", "run", "since", "uri"} }

func (f *deadFlags) add(c *cli, command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.class, "class", "", "only dead letters of this `class`: input, exhausted, refused, …")
	flags.StringVar(&f.group, "group", "", "only dead letters of this `group` of \"gistmill dead list --summary\"")
	flags.StringVar(&f.message, "message", "", "only dead letters whose message contains this `text`, in upper or lower case")
	flags.StringVar(&f.run, "run", "", "only dead letters of this `run`")
	flags.StringVar(&f.since, "since", "", "only documents that died at or after this `time`: 2026-01-31, 2026-01-31T12:00:00Z, or an age such as 36h or 7d")
	flags.StringVar(&f.uri, "uri", "", "only documents whose URI matches this `glob` (** matches across folders)")
	flags.BoolVar(&f.gone, "gone", false, "include documents that are gone from their source")
	flags.IntVar(&f.limit, "limit", 0, "only the first `N`, in the order of the list")
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
	usage.SetGroup(flags, usage.Source, append(deadFilters(), "gone", "limit")...)
}

// addDropped adds the flag that selects dropped dead letters.
func (f *deadFlags) addDropped(command *cobra.Command, about string) {
	command.Flags().BoolVar(&f.dropped, "dropped", false, about)
	usage.SetGroup(command.Flags(), usage.Source, "dropped")
}

// check rejects values that select nothing.
func (f *deadFlags) check() error {
	invalid := func(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }
	var classes []string
	for _, class := range ledger.DeadClasses() {
		classes = append(classes, string(class))
	}
	switch {
	case f.class != "" && !slices.Contains(classes, f.class):
		return invalid("--class %s", text.NotOneOf(f.class, classes...))
	case f.group != "" && !isGroup(f.group):
		return invalid("--group %q is not a group: `gistmill dead list --summary` lists them", f.group)
	case !doublestar.ValidatePattern(f.uri):
		return invalid("--uri %q is not a valid glob", f.uri)
	case f.limit < 0:
		return invalid("--limit is %d, but must not be negative", f.limit)
	}
	return nil
}

// isGroup reports whether a text has the form of [ledger.DeadLetter.Group].
func isGroup(id string) bool { return len(id) == 8 && strings.Trim(id, "0123456789abcdef") == "" }

// filter returns the filter of the flags.
func (f *deadFlags) filter(ctx context.Context, l *ledger.Ledger) (ledger.DeadFilter, error) {
	filter := ledger.DeadFilter{Class: ledger.Class(f.class), Limit: f.limit, Gone: f.gone, Dropped: f.dropped}
	message := strings.ToLower(f.message)
	filter.Match = func(d ledger.DeadLetter) bool {
		return (f.uri == "" || doublestar.MatchUnvalidated(f.uri, d.URI)) &&
			(f.message == "" || strings.Contains(strings.ToLower(d.Message), message)) &&
			(f.group == "" || d.Group() == f.group)
	}
	var err error
	if filter.Since, err = parseTime("since", f.since); err != nil {
		return filter, err
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

// given returns the flags of a command with these names that are set, as they are typed in a shell.
func given(command *cobra.Command, names ...string) string {
	var all []string
	for _, name := range names {
		flag := command.Flags().Lookup(name)
		switch {
		case flag == nil || !flag.Changed:
		case flag.Value.Type() == "bool":
			all = append(all, "--"+name)
		default:
			all = append(all, "--"+name+" "+text.ShellWord(flag.Value.String()))
		}
	}
	return strings.Join(all, " ")
}

func (c *cli) deadCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "List, retry or drop dead letters",
		Long: `A dead letter is a document that could not be summarized. The ledger keeps its class, message, attempts
and history. gistmill works on it again only if it changes, or after "gistmill dead retry".

  gistmill dead list --summary
  gistmill dead list --class input --uri 'reports/**/*.pdf' -o json
  gistmill dead show reports/2026/q1.pdf
  gistmill dead retry --class exhausted --dry-run
  gistmill dead drop --run 20260131-k7m2qd`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(c.deadListCommand(), c.deadShowCommand(), c.deadRetryCommand(), c.deadDropCommand(), c.deadExportCommand())
	return command
}

// selectedDead is the dead letters that a command's flags select.
type selectedDead struct {
	*app
	command *cobra.Command
	flags   *deadFlags
	filter  ledger.DeadFilter
}

// deadSubcommand is a command with flags that select dead letters. need is asked after the flags
// are parsed.
func (c *cli) deadSubcommand(flags *deadFlags, need func() needs, command *cobra.Command, do func(ctx context.Context, d selectedDead, args []string) error) *cobra.Command {
	flags.add(c, command)
	command.PreRunE = func(*cobra.Command, []string) error { return flags.check() }
	return c.command("dead", needsSettings, command, func(ctx context.Context, a *app, args []string) error {
		if err := a.open(ctx, need()); err != nil {
			return err
		}
		filter, err := flags.filter(ctx, a.ledger)
		if err != nil {
			return err
		}
		return do(ctx, selectedDead{app: a, command: command, flags: flags, filter: filter}, args)
	})
}

// selected reports whether a flag selects dead letters by what they are.
func (d selectedDead) selected() bool { return given(d.command, deadFilters()...) != "" }

// checkAll refuses --all with a filter.
func (d selectedDead) checkAll(all bool) error {
	if all && d.selected() {
		return &usageError{errors.New("--all and a filter exclude each other: give one of them")}
	}
	return nil
}

// sayNone says that the flags select nothing, and what there is without them.
func (d selectedDead) sayNone(ctx context.Context) error {
	kind := "dead letters"
	if d.flags.dropped {
		kind = "dropped dead letters"
	}
	total := func(gone bool) (int64, error) {
		s, err := d.ledger.DeadSummary(ctx, ledger.DeadFilter{Gone: gone, Dropped: d.flags.dropped})
		return s.Total, err
	}
	n, err := total(d.flags.gone)
	if err != nil {
		return err
	}
	if n > 0 && d.selected() {
		there := "are " + number(n)
		if n == 1 {
			there = "is 1"
		}
		d.say("no %s match %s; without a filter there %s", kind, given(d.command, deadFilters()...), there)
		return nil
	}
	gone, err := total(true)
	if err != nil {
		return err
	}
	if gone > n {
		d.say("there are no %s in %s, except %s of documents that are gone from their source (--gone)", kind, d.ledger.Place(), number(gone))
		return nil
	}
	d.say("there are no %s in %s", kind, d.ledger.Place())
	return nil
}

// classCounts lists numbers of dead letters by class, the largest first: "90 exhausted, 7 input".
func classCounts(n map[ledger.Class]int64) string {
	classes := slices.SortedFunc(maps.Keys(n), func(a, b ledger.Class) int { return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b)) })
	all := make([]string, len(classes))
	for i, class := range classes {
		all[i] = number(n[class]) + " " + string(class)
	}
	return strings.Join(all, ", ")
}

func always(n needs) func() needs { return func() needs { return n } }

func (c *cli) deadListCommand() *cobra.Command {
	var flags deadFlags
	var output outputFlag
	var summary bool
	command := c.deadSubcommand(&flags, always(readsLedger), &cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Long: `List shows dead letters in the order in which their documents were listed. Flags select some of them.
With --summary it counts them by class and message, the largest group first. Messages that differ only
in numbers and quoted parts are one group.

  gistmill dead list --summary --since 24h
  gistmill dead list --class input
  gistmill dead list -o json | jq -r '.[].uri'`,
		Args: noArgs,
	}, func(ctx context.Context, d selectedDead, _ []string) error {
		if summary {
			return d.writeSummary(ctx, output)
		}
		if output.json {
			list := jsonList{stdout: c.stdout}
			if err := d.each(ctx, func(letter ledger.DeadLetter) error { return list.add(letter) }); err != nil {
				return err
			}
			return list.end()
		}
		return d.writeList(ctx, output)
	})
	flags.addDropped(command, "list dead letters that were dropped instead")
	command.Flags().BoolVar(&summary, "summary", false, "count dead letters by class and message; --limit N shows the N largest groups")
	output.addWide(command)
	return command
}

// each calls do with the selected dead letters.
func (d selectedDead) each(ctx context.Context, do func(ledger.DeadLetter) error) error {
	return d.ledger.DeadLetters(ctx, d.filter, func(letters []ledger.DeadLetter) error {
		for _, letter := range letters {
			if err := do(letter); err != nil {
				return err
			}
		}
		return nil
	})
}

// longList is the number of dead letters in a list above which a hint at --summary follows.
const longList = 20

func (d selectedDead) writeList(ctx context.Context, output outputFlag) error {
	width := output.width(d.stdout)
	write, n := deadTable(d.stdout, width), 0
	err := d.each(ctx, func(letter ledger.DeadLetter) error {
		n++
		return write(letter)
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		return d.sayNone(ctx)
	case n > longList && width > 0:
		d.say("%s; --summary counts them by class and message", count(int64(n), "dead letter"))
	}
	return nil
}

// deadTable returns a function that writes a heading and one line for each dead letter. Columns
// have fixed widths, because the list may exceed the memory. On a terminal, whose width in columns
// is not 0, URI and message are cut to fit, and a narrow one shows only these; otherwise the column
// that varies most comes last.
func deadTable(stdout io.Writer, width int) func(ledger.DeadLetter) error {
	write := func(cells ...string) error {
		_, err := fmt.Fprintf(stdout, "%-23s  %-15s  %-15s  %8s  %-40s  %s\n", cells[0], cells[1], cells[2], cells[3], cells[4], cells[5])
		return err
	}
	row := func(d ledger.DeadLetter) []string {
		return []string{when(d.At), d.Run, text.TerminalLine(string(d.Class)), number(d.Attempts), text.TerminalLine(d.URI), text.TerminalLine(d.Message)}
	}
	heading := []string{"AT", "RUN", "CLASS", "ATTEMPTS", "URI", "MESSAGE"}
	const at, class = 11, 11
	switch {
	case width == 0:
	case width < at+class+30:
		uri := max(1, width*2/5)
		write = func(cells ...string) error {
			_, err := fmt.Fprintln(stdout, terminal.Pad(terminal.CutStart(cells[0], uri), uri)+"  "+terminal.Cut(cells[1], width-uri-2))
			return err
		}
		row = func(d ledger.DeadLetter) []string { return []string{d.URI, d.Message} }
		heading = []string{"URI", "MESSAGE"}
	default:
		uri := max(12, (width-at-class-6)*2/5)
		message := max(12, width-at-class-6-uri)
		write = func(cells ...string) error {
			_, err := fmt.Fprintln(stdout, strings.TrimRight(terminal.Pad(cells[0], at)+"  "+terminal.Pad(terminal.Cut(cells[1], class), class)+"  "+
				terminal.Pad(terminal.CutStart(cells[2], uri), uri)+"  "+terminal.Cut(cells[3], message), " "))
			return err
		}
		row = func(d ledger.DeadLetter) []string {
			return []string{shortWhen(d.At), string(d.Class), d.URI, d.Message}
		}
		heading = []string{"AT (" + zone() + ")", "CLASS", "URI", "MESSAGE"}
	}
	begun := false
	return func(letter ledger.DeadLetter) error {
		if !begun {
			begun = true
			if err := write(heading...); err != nil {
				return err
			}
		}
		return write(row(letter)...)
	}
}

// deadGroupView is a group of dead letters as JSON. Its fields are an interface for users.
type deadGroupView struct {
	ledger.DeadGroup
	Retry string `json:"retry"` // the command that retries the group
}

// writeSummary writes the groups of the selected dead letters.
func (d selectedDead) writeSummary(ctx context.Context, output outputFlag) error {
	most := d.filter.Limit
	d.filter.Limit = 0
	found, err := d.ledger.DeadSummary(ctx, d.filter)
	if err != nil {
		return err
	}
	groups := found.Groups
	if most > 0 {
		groups = groups[:min(len(groups), most)]
	}
	views := make([]deadGroupView, len(groups))
	for i, g := range groups {
		views[i] = deadGroupView{g, d.retryCommand(g.ID)}
	}
	return output.write(d.stdout, views, func() error {
		if found.Total == 0 {
			return d.sayNone(ctx)
		}
		width := terminal.Width(d.stdout)
		for _, v := range views {
			lines := []string{fmt.Sprintf("%s  %s  last at %s", number(v.Count), v.Class, when(v.Newest))}
			for _, line := range append(fitted(v.Message, width-2), "example: "+text.TerminalLine(v.Example), v.Retry) {
				lines = append(lines, "  "+line)
			}
			if _, err := fmt.Fprintln(d.stdout, strings.Join(lines, "\n")); err != nil {
				return err
			}
		}
		hidden := ""
		if n := len(found.Groups) - len(views); n > 0 {
			hidden = fmt.Sprintf("; %s not shown", number(int64(n)))
		}
		_, err := fmt.Fprintf(d.stdout, "%s in %s%s\n", count(found.Total, "dead letter"), count(int64(len(found.Groups)), "group"), hidden)
		return err
	})
}

// retryCommand returns the command that retries one group of the selected dead letters.
func (d selectedDead) retryCommand(group string) string {
	command := "gistmill dead retry --group " + group
	if flags := given(d.command, "run", "uri", "message", "dropped", "gone"); flags != "" {
		command += " " + flags
	}
	if !d.filter.Since.IsZero() { // an age counts from now
		command += " --since " + d.filter.Since.UTC().Format(time.RFC3339)
	}
	if d.command.Flags().Changed("store") {
		command += " --store " + text.ShellWord(config.RedactURL(d.config.Store))
	}
	return command
}

func (c *cli) deadShowCommand() *cobra.Command {
	var output outputFlag
	command := c.command("show", readsLedger, &cobra.Command{
		Use:   "show URI",
		Short: "Show one dead letter with its history",
		Long: `Show is "gistmill show" for dead letters, dropped ones included: it shows why a document could not be
summarized.

  gistmill dead show reports/2026/q1.pdf`,
		Args: documentArg,
	}, func(ctx context.Context, a *app, args []string) error {
		views, err := a.documents(ctx, args[0])
		if err != nil {
			return err
		}
		dead := slices.DeleteFunc(slices.Clone(views), func(v report.Document) bool {
			return v.State != ledger.DocumentDead && v.State != ledger.DocumentDropped
		})
		if len(dead) == 0 {
			return fmt.Errorf("document %q is not dead but %s; see `gistmill show`", views[0].URI, views[0].State)
		}
		if len(dead) > 1 {
			c.say("%s in other sources or profiles; use `gistmill show --all` to see them", count(int64(len(dead)-1), "more dead letter"))
		}
		return output.write(c.stdout, documentViewOf(dead[0]), func() error { return describeDocument(c.stdout, dead[0]) })
	})
	output.add(command)
	return command
}

// retryView is the result of `dead retry`. Its JSON fields are an interface for users.
type retryView struct {
	DryRun  bool                   `json:"dry_run"`
	Retried int64                  `json:"retried"` // 0 in a dry run
	Classes map[ledger.Class]int64 `json:"classes"`
	CostUSD *float64               `json:"cost_usd"` // estimate; null: unknown
	MostUSD *float64               `json:"cost_usd_most"`
	Left    map[ledger.Class]int64 `json:"left"` // not retried without --all
	Runs    []retriedRun           `json:"runs"`
}

// retriedRun is the result for one run's dead letters. Its JSON fields are an interface for users.
type retriedRun struct {
	Run       string       `json:"run"`
	Source    string       `json:"source"`
	State     ledger.State `json:"state"`
	Documents int64        `json:"documents"`
	Tasks     *int         `json:"tasks"` // enqueued; null without Redis, and in a dry run

	reason ledger.Reason
}

func newRetriedRun(run ledger.Run, documents int64) retriedRun {
	return retriedRun{Run: run.Name, Source: run.Source, State: run.State, Documents: documents, reason: run.Reason}
}

// unchanging reports whether a dead letter's document fails until it changes. Then it is worked on
// without a retry.
func unchanging(d ledger.DeadLetter) bool {
	return d.Class == ledger.ClassInput || d.Class == ledger.ClassInputGone
}

func (c *cli) deadRetryCommand() *cobra.Command {
	var flags deadFlags
	var output outputFlag
	var dryRun, all, yes bool
	need := func() needs {
		if dryRun {
			return readsLedger
		}
		return usesQueue
	}
	command := c.deadSubcommand(&flags, need, &cobra.Command{
		Use:   "retry",
		Short: "Retry dead letters",
		Long: `Retry makes dead letters pending again; flags select some of them. Fix the cause first. They keep their
history and their number of attempts. If --redis is set, retry enqueues them. Otherwise the next
"gistmill run" or "gistmill enqueue" of their source works on them. Dead letters of a stopped run wait
for "gistmill resume RUN".

Without a filter it leaves out the classes input and input_gone: these documents fail again until they
change, and then they are worked on without a retry. --all or --class input retries them anyway.

  gistmill dead retry --dry-run
  gistmill dead retry --class exhausted --since 24h --uri 'reports/**'
  gistmill dead retry --dropped --run 20260131-k7m2qd`,
		Args: noArgs,
	}, func(ctx context.Context, d selectedDead, _ []string) error {
		if err := d.checkAll(all); err != nil {
			return err
		}
		left := map[ledger.Class]int64{}
		if !all && !d.selected() && !flags.dropped {
			var err error
			if left, err = d.leaveUnchanging(ctx); err != nil {
				return err
			}
		}
		found, err := d.ledger.DeadSummary(ctx, d.filter)
		if err != nil {
			return err
		}
		view := retryView{DryRun: dryRun, Classes: found.Classes(), Left: left, Runs: []retriedRun{}}
		paid, sum, err := d.estimateRetry(ctx, found.Runs)
		if err != nil {
			return err
		}
		view.CostUSD, view.MostUSD = sum.CostUSD, sum.CostUSDMost
		if err := d.sayLeft(ctx, view, found.Total); err != nil {
			return err
		}
		what := describeRetry(view, found.Total)
		switch {
		case dryRun:
			view.Runs, err = d.runsOf(ctx, found.Runs)
		case found.Total > 0:
			d.say("%s", what)
			if len(paid) > 0 && !yes && d.above(paid, &sum) {
				if err := d.askToStart(&sum, what); err != nil {
					return err
				}
			}
			view.Retried, view.Runs, err = d.retryDead(ctx, d.filter)
		}
		if err != nil {
			return err
		}
		return output.write(c.stdout, view, func() error {
			if dryRun && found.Total > 0 {
				fmt.Fprintln(c.stdout, "would retry", what)
			}
			for _, r := range view.Runs {
				line := r.text()
				if dryRun {
					line = fmt.Sprintf("  run %s: %s of %s", r.Run, count(r.Documents, "document"), text.TerminalLine(r.Source))
				}
				if _, err := fmt.Fprintln(c.stdout, line); err != nil {
					return err
				}
			}
			return nil
		})
	})
	flags.addDropped(command, "retry dead letters that were dropped instead")
	command.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be retried and its estimated cost, and change nothing")
	command.Flags().BoolVar(&all, "all", false, "retry all dead letters, those of class input included")
	addYesFlag(command, &yes, ifAbove)
	output.add(command)
	return command
}

// leaveUnchanging excludes dead letters from the filter whose document has to change first, and
// returns their numbers.
func (d *selectedDead) leaveUnchanging(ctx context.Context) (map[ledger.Class]int64, error) {
	left := d.filter
	left.Match, left.Limit = unchanging, 0
	s, err := d.ledger.DeadSummary(ctx, left)
	d.filter.Match = func(letter ledger.DeadLetter) bool { return !unchanging(letter) }
	return s.Classes(), err
}

// sayLeft says what a retry leaves out, or that there is nothing to retry.
func (d selectedDead) sayLeft(ctx context.Context, v retryView, total int64) error {
	if len(v.Left) > 0 {
		d.say("left out: %s; such a document fails until it changes (--all retries it now)", classCounts(v.Left))
		return nil
	}
	if total == 0 {
		return d.sayNone(ctx)
	}
	return nil
}

// describeRetry returns what a retry does at what cost: "97 documents, about $0.02, at most $0.05
// (90 exhausted, 7 refused)".
func describeRetry(v retryView, total int64) string {
	cost := "cost unknown"
	if v.CostUSD != nil {
		cost = "about " + text.USD(*v.CostUSD)
		if *v.MostUSD > *v.CostUSD {
			cost += ", at most " + usdMost(*v.MostUSD)
		}
	}
	return fmt.Sprintf("%s, %s (%s)", count(total, "document"), cost, classCounts(v.Classes))
}

// estimateRetry estimates the cost of a retry, from the numbers of documents by run. It returns the
// runs that call a model, and their sum.
func (d selectedDead) estimateRetry(ctx context.Context, documents map[ledger.RunID]int64) (paid plans, sum enqueuer.Estimate, err error) {
	sum = enqueuer.Free(0)
	for num, n := range documents {
		run, err := d.ledger.RunByID(ctx, num)
		if err != nil {
			return paid, sum, err
		}
		if run.Model == summarize.Extractive {
			continue
		}
		paid = append(paid, &prepared{Plan: &enqueuer.Plan{Run: run}})
		e, err := d.estimateRun(ctx, run, n)
		if err != nil {
			return paid, sum, err
		}
		sum.Add(e)
	}
	return paid, sum, nil
}

// estimateRun estimates the cost of n of the selected dead letters, which are of one run, from a
// sample of them. If the sample cannot be read from here, it takes the mean cost of the run's
// summaries.
func (d selectedDead) estimateRun(ctx context.Context, run ledger.Run, n int64) (enqueuer.Estimate, error) {
	profile, err := d.profileOf(ctx, run)
	if err != nil {
		return enqueuer.Estimate{}, err
	}
	filter, match := d.filter, d.filter.Match
	filter.Limit = min(cmp.Or(filter.Limit, estimateSample), estimateSample)
	filter.Match = func(letter ledger.DeadLetter) bool { return letter.RunID == run.ID && match(letter) }
	var sample []ledger.Entry
	if err := d.ledger.DeadLetters(ctx, filter, func(letters []ledger.DeadLetter) error {
		for _, letter := range letters {
			sample = append(sample, ledger.Entry{URI: letter.URI, Locator: letter.Locator, Version: letter.Version})
		}
		return nil
	}); err != nil {
		return enqueuer.Estimate{}, err
	}
	if src, err := source.Open(ctx, run.Source, d.sourceOptions()); err == nil {
		defer src.Close()
		e, err := d.estimate(ctx, src, profile, llm.Tier(run.Service), n, sample)
		if err != nil || e.Unreadable < e.Sampled {
			return e, err
		}
	}
	nano, err := report.New(d.ledger).MeanCost(ctx, run.ID)
	if err != nil {
		return enqueuer.Estimate{}, err
	}
	if nano == nil {
		return d.unread(run.Model, n)
	}
	cost := *nano / 1e9 * float64(n)
	return enqueuer.Estimate{Documents: n, Service: cmp.Or(run.Service, string(llm.TierStandard)), CostUSD: &cost, CostUSDMost: &cost, PricedUSDMost: cost}, nil
}

func (d selectedDead) runsOf(ctx context.Context, documents map[ledger.RunID]int64) ([]retriedRun, error) {
	runs := []retriedRun{}
	for _, num := range slices.Sorted(maps.Keys(documents)) {
		run, err := d.ledger.RunByID(ctx, num)
		if err != nil {
			return nil, err
		}
		runs = append(runs, newRetriedRun(run, documents[num]))
	}
	return runs, nil
}

// retryDead makes dead letters pending in the ledger, and enqueues those of running runs if there
// is a queue.
func (a *app) retryDead(ctx context.Context, f ledger.DeadFilter) (total int64, runs []retriedRun, err error) {
	size := ledger.PartitionSize{Documents: a.config.PartitionDocuments, Bytes: a.config.PartitionBytes}
	// Enqueueing is the confirmation. Otherwise the next run asks.
	redriven, err := a.ledger.Redrive(ctx, f, size, a.queue != nil)
	runs = []retriedRun{}
	// After an error too: pending documents belong in the queue.
	for _, num := range slices.Sorted(maps.Keys(redriven)) {
		total += redriven[num]
		run, readErr := a.ledger.RunByID(ctx, num)
		if readErr != nil {
			return total, runs, errors.Join(err, readErr)
		}
		r := newRetriedRun(run, redriven[num])
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

// dropView is the result of `dead drop`. Its JSON fields are an interface for users.
type dropView struct {
	DryRun  bool                   `json:"dry_run"`
	Dropped int64                  `json:"dropped"` // 0 in a dry run
	Classes map[ledger.Class]int64 `json:"classes"`
}

func (c *cli) deadDropCommand() *cobra.Command {
	var flags deadFlags
	var output outputFlag
	var dryRun, all, yes bool
	need := func() needs {
		if dryRun {
			return readsLedger
		}
		return needsLedger
	}
	command := c.deadSubcommand(&flags, need, &cobra.Command{
		Use:   "drop",
		Short: "Remove dead letters from the list without retrying them",
		Long: `Drop removes dead letters from the list. Their documents count as skipped until they change, or until a
run with --force. It needs a filter or --all, and asks on a terminal. "gistmill dead list --dropped"
lists them, and "gistmill dead retry --dropped" takes them back.

  gistmill dead drop --class input --uri '**/*.zip' --dry-run
  gistmill dead drop --group 1f0c9a52 --yes`,
		Args: noArgs,
	}, func(ctx context.Context, d selectedDead, _ []string) error {
		if err := d.checkAll(all); err != nil {
			return err
		}
		found, err := d.ledger.DeadSummary(ctx, d.filter)
		if err != nil {
			return err
		}
		view := dropView{DryRun: dryRun, Classes: found.Classes()}
		letters := count(found.Total, "dead letter")
		switch {
		case found.Total == 0:
			if err := d.sayNone(ctx); err != nil {
				return err
			}
			return output.write(c.stdout, view, func() error { return nil })
		case !all && !dryRun && !d.selected():
			return &usageError{fmt.Errorf("this would drop %s (%s): give --all to drop all of them, or a filter such as --class %s", letters, classCounts(view.Classes), found.Groups[0].Class)}
		case !dryRun && !yes && c.canAsk():
			if err := c.confirmed(fmt.Sprintf("Drop %s (%s)?", letters, classCounts(view.Classes)), "nothing was dropped"); err != nil {
				return err
			}
		}
		verb := "would drop"
		if !dryRun {
			verb = "dropped"
			if view.Dropped, err = d.ledger.Drop(ctx, d.filter); err != nil {
				return err
			}
			letters = count(view.Dropped, "dead letter")
		}
		return output.write(c.stdout, view, func() error {
			_, err := fmt.Fprintf(c.stdout, "%s %s (%s)\n", verb, letters, classCounts(view.Classes))
			if err == nil && !dryRun {
				d.say("`gistmill dead retry --dropped` takes them back")
			}
			return err
		})
	})
	command.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be dropped, and change nothing")
	command.Flags().BoolVar(&all, "all", false, "drop all dead letters")
	addYesFlag(command, &yes, "")
	output.add(command)
	return command
}

// exportedDead is the result of `dead export`. Its JSON fields are an interface for users.
type exportedDead struct {
	Path     string `json:"path"`
	Exported int64  `json:"exported"`
}

func (c *cli) deadExportCommand() *cobra.Command {
	var flags deadFlags
	var output outputFlag
	command := c.deadSubcommand(&flags, always(readsLedger), &cobra.Command{
		Use:   "export DEST",
		Short: "Write dead letters as JSON lines",
		Long: `Export writes each dead letter as a line of JSON to the file DEST, or to standard output if DEST is -.

  gistmill dead export dead.jsonl
  gistmill dead export - --class input | jq -r .uri`,
		Args: destinationArg,
	}, func(ctx context.Context, d selectedDead, args []string) error {
		place := args[0]
		if place == "-" && output.json {
			return &usageError{errors.New("-o json and DEST - both write to standard output: name a file, or leave out -o json")}
		}
		if err := export.CheckLinesName(place); err != nil {
			return &usageError{err}
		}
		if err := d.checkDestination(ctx, place); err != nil {
			return err
		}
		var n int64
		write := func(w io.Writer) error {
			return export.Compressed(w, args[0], func(w io.Writer) error {
				lines := export.NewLines(w)
				err := d.each(ctx, func(letter ledger.DeadLetter) error { n++; return lines.Add(letter) })
				return cmp.Or(err, lines.Flush())
			})
		}
		var err error
		if place == "-" {
			place, err = "standard output", write(c.stdout)
		} else {
			err = export.File(ctx, place, write)
		}
		if err != nil {
			return fmt.Errorf("export dead letters: %w", err)
		}
		if output.json {
			return output.write(c.stdout, exportedDead{Path: place, Exported: n}, nil)
		}
		c.say("%s to %s", count(n, "dead letter"), place)
		return nil
	})
	flags.addDropped(command, "export dead letters that were dropped instead")
	output.add(command)
	return command
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/text"
)

// exportFlags select the summaries to export and their format.
type exportFlags struct {
	format                 export.Format // of DEST
	formatName, run        string
	source, profile, model string
	allProfiles, gone      bool
	output                 outputFlag
}

func (c *cli) exportCommand() *cobra.Command {
	var flags exportFlags
	command := c.command("export", readsLedger, &cobra.Command{
		Use:   "export DEST",
		Short: "Write summaries to a file or folder",
		Long: `Export writes the summaries of the ledger to DEST, whose name decides the format:

  NAME.jsonl, NAME.ndjson  JSON lines
  NAME.csv                 a table for spreadsheets
  NAME.parquet             Parquet
  NAME/, or a folder       a Markdown page for each document
  -                        JSON lines on standard output

.gz after .jsonl or .csv compresses the file. --format is for other names. A file appears when it is
complete, and is replaced if it exists. A document of a source is never replaced. In a folder,
unchanged pages are left alone, and pages of documents that are gone are removed.

For each source, export writes the summaries of one profile (model, prompt, schema and parameters):
the one of the newest finished run. With --all-profiles it writes those of all profiles, and with
--run those of a run's documents. It leaves out documents that are gone from their source, unless
--gone is set.

  gistmill export summaries.parquet
  gistmill export summaries.csv --run RUN
  gistmill export - --source ./docs | jq .summary
  gistmill export pages/ --format markdown --model gpt-4o-mini`,
		Args:    destinationArg,
		PreRunE: func(_ *cobra.Command, args []string) error { return flags.check(args[0]) },
	}, func(ctx context.Context, a *app, args []string) error { return a.export(ctx, args[0], flags) })
	flags.add(c, command)
	return command
}

func (f *exportFlags) add(c *cli, command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.formatName, "format", "", "`format`: jsonl, parquet, csv or markdown (default: chosen by DEST)")
	flags.StringVar(&f.run, "run", "", "only documents of this `run`")
	flags.StringVar(&f.source, "source", "", "only documents of the source with this `URL` or path")
	flags.StringVar(&f.profile, "profile", "", "only summaries of the profile whose hash begins with this `prefix`")
	flags.StringVar(&f.model, "model", "", "only summaries of profiles with this `model`")
	flags.BoolVar(&f.allProfiles, "all-profiles", false, "write the summaries of all profiles of a source")
	flags.BoolVar(&f.gone, "gone", false, "include documents that are gone from their source")
	completeFlag(command, "format", fixed(export.Formats()...))
	f.output.add(command)
	completeFlag(command, "run", c.runNames())
	completeFlag(command, "source", c.pairValues(func(p report.SourceProfile) string { return p.Source }))
	completeFlag(command, "profile", c.pairValues(func(p report.SourceProfile) string { return p.Profile + "\t" + p.Model }))
	completeFlag(command, "model", c.pairValues(func(p report.SourceProfile) string { return p.Model }))
}

// check chooses the format and rejects flags that exclude each other.
func (f *exportFlags) check(dest string) error {
	if f.run != "" && (f.source != "" || f.profile != "" || f.model != "" || f.allProfiles) {
		return &usageError{errors.New("--run selects source and profile, so it excludes --source, --profile, --model and --all-profiles")}
	}
	switch {
	case f.formatName == "":
		var err error
		if f.format, err = export.FormatOf(dest); err != nil {
			return &usageError{err}
		}
	case !slices.Contains(export.Formats(), f.formatName):
		return &usageError{errors.New("--format " + text.NotOneOf(f.formatName, export.Formats()...))}
	default:
		f.format = export.Format(f.formatName)
	}
	switch {
	case dest == "-" && (f.format == export.FormatParquet || f.format == export.FormatMarkdown):
		return &usageError{fmt.Errorf("%s cannot be written to standard output: name a file or a folder, or use --format jsonl", f.format)}
	case dest == "-" && f.output.json:
		return &usageError{errors.New("-o json and DEST - both write to standard output: name a file, or leave out -o json")}
	}
	return nil
}

// exportedView is the result of an export as JSON. Its fields are an interface for users.
type exportedView struct {
	Summaries   int           `json:"summaries"`
	Destination string        `json:"destination"`
	Format      export.Format `json:"format"`
}

func (a *app) export(ctx context.Context, dest string, f exportFlags) error {
	filters, pairs, left, err := f.choose(ctx, a.ledger)
	if err != nil {
		return err
	}
	each := func(yield func(ledger.Exported) error) error {
		for _, filter := range filters {
			if err := report.New(a.ledger).Summaries(ctx, filter, yield); err != nil {
				return err
			}
		}
		return nil
	}
	if err := a.checkDestination(ctx, dest); err != nil {
		return err
	}
	var n int
	write := func(w io.Writer) (err error) {
		n, err = export.Write(w, f.format, dest, versionText(), each)
		return err
	}
	switch {
	case f.format == export.FormatMarkdown:
		n, err = a.exportPages(ctx, dest, f, pairs, each)
	case dest == "-":
		err = write(a.stdout)
	default:
		err = export.File(ctx, dest, write)
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if f.output.json {
		return f.output.write(a.stdout, exportedView{n, dest, f.format}, nil)
	}
	place := "to " + dest
	if dest == "-" {
		place = "to standard output"
	}
	if left > 0 {
		place += fmt.Sprintf("; %s left out (use --all-profiles)", count(int64(left), "older profile"))
	}
	a.say("%s %s", summaries(int64(n)), place)
	return nil
}

// choose returns the filters of the flags with their sources and profiles, and the number of
// profiles that are left out because their source has a newer one.
func (f *exportFlags) choose(ctx context.Context, l *ledger.Ledger) (filters []report.SummaryFilter, chosen []export.Pair, left int, err error) {
	all, err := report.New(l).SourceProfiles(ctx)
	if err != nil {
		return nil, nil, 0, err
	}
	if f.run != "" {
		run, err := l.Run(ctx, f.run)
		for _, p := range all {
			if p.SourceID == run.SourceID && p.ProfileID == run.ProfileID {
				chosen = append(chosen, export.Pair{Source: p.Source, Profile: p.Profile, Run: p.Run})
			}
		}
		return []report.SummaryFilter{{SourceID: run.SourceID, ProfileID: run.ProfileID, Run: run.ID, Gone: f.gone}}, chosen, 0, err
	}
	pairs, err := f.match(all)
	if err != nil {
		return nil, nil, 0, err
	}
	if !f.allProfiles {
		before := len(pairs)
		pairs = slices.CompactFunc(pairs, func(a, b report.SourceProfile) bool { return a.SourceID == b.SourceID })
		left = before - len(pairs)
	}
	slices.SortFunc(pairs, func(a, b report.SourceProfile) int {
		return cmp.Or(cmp.Compare(a.SourceID, b.SourceID), cmp.Compare(a.ProfileID, b.ProfileID))
	})
	for _, p := range pairs {
		filters = append(filters, report.SummaryFilter{SourceID: p.SourceID, ProfileID: p.ProfileID, Gone: f.gone})
		chosen = append(chosen, export.Pair{Source: p.Source, Profile: p.Profile, Run: p.Run})
	}
	return filters, chosen, left, nil
}

// exportPages writes a folder of pages.
func (a *app) exportPages(ctx context.Context, dest string, f exportFlags, pairs []export.Pair, each export.Stream) (int, error) {
	folder, err := export.OpenOutput(ctx, dest)
	if err != nil {
		return 0, err
	}
	w, err := folder.Write(ctx, a.content(ctx, export.Content{
		Sources: pairs, Whole: f.run == "" && f.profile == "" && f.model == "",
		Stream: func([]export.Pair) (export.Stream, error) { return each, nil },
	}))
	if err := errors.Join(err, folder.Close()); err != nil {
		return 0, err
	}
	a.sayWritten(w, dest)
	return w.Summaries, nil
}

// match applies the flags one by one, to report the one that matches nothing.
func (f *exportFlags) match(pairs []report.SourceProfile) ([]report.SourceProfile, error) {
	for _, flag := range []struct {
		name, value string
		of          func(report.SourceProfile) string
		match       func(have, want string) bool
	}{
		{"source", f.source, func(p report.SourceProfile) string { return p.Source }, isSource},
		{"profile", f.profile, func(p report.SourceProfile) string { return p.Profile }, strings.HasPrefix},
		{"model", f.model, func(p report.SourceProfile) string { return p.Model }, func(have, want string) bool { return have == want }},
	} {
		if flag.value == "" {
			continue
		}
		var known []string
		var kept []report.SourceProfile
		for _, p := range pairs {
			known = append(known, flag.of(p))
			if flag.match(flag.of(p), flag.value) {
				kept = append(kept, p)
			}
		}
		if len(kept) == 0 {
			return nil, fmt.Errorf("--%s %s matches nothing in the ledger%s", flag.name, flag.value, someOf(known))
		}
		pairs = kept
	}
	return pairs, nil
}

// someOf lists existing values.
func someOf(known []string) string {
	if len(known) == 0 {
		return "; the ledger is empty"
	}
	slices.Sort(known)
	return "; it has " + text.TerminalLine(shorten(slices.Compact(known), 5))
}

// isSource reports whether a user's text names a source: by its URL, with or without the query,
// or by its path.
func isSource(sourceURL, written string) bool {
	bare, _, _ := strings.Cut(sourceURL, "?")
	if sourceURL == written || bare == strings.TrimRight(written, "/") || bare == written {
		return true
	}
	u, err := url.Parse(sourceURL)
	if err != nil || u.Scheme != "file" || strings.Contains(written, "://") {
		return false
	}
	abs, err := filepath.Abs(written)
	return err == nil && u.Path == filepath.ToSlash(abs)
}

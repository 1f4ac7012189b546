package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/export"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/report"
	"github.com/gistmill/gistmill/internal/source"
)

// Values of the setting `out` that are not a folder.
const (
	outStdout = "-"
	outNone   = "none"
)

// checkOut rejects an output folder that is, or holds, one of the sources. It touches nothing.
func (a *app) checkOut(sources []string) error {
	if a.config.Out == outStdout || a.config.Out == outNone {
		return nil
	}
	if info, err := os.Stat(a.config.Out); (err != nil || !info.IsDir()) && export.NamesFile(a.config.Out) {
		return &usageError{fmt.Errorf("--out %s names a file, and run writes a folder: use --out none and then `gistmill export %s`", a.config.Out, a.config.Out)}
	}
	for _, raw := range sources {
		path, ok := source.LocalPath(raw)
		if ok && holds(a.config.Out, path) {
			return &usageError{fmt.Errorf("--out %s holds the source %s, and summaries would be written among its documents: choose a folder of its own, such as %s",
				a.config.Out, raw, filepath.Join(a.config.Out, "summaries"))}
		}
	}
	return nil
}

// checkDestination rejects a destination that would replace a document of a source in the ledger,
// or put pages among its documents.
func (a *app) checkDestination(ctx context.Context, dest string) error {
	if dest == outStdout {
		return nil
	}
	info, err := os.Stat(dest)
	if err != nil {
		return nil //nolint:nilerr // there is nothing that could be replaced
	}
	reports := report.New(a.ledger)
	sources, err := reports.Sources(ctx)
	if err != nil {
		return err
	}
	for _, s := range sources {
		path, ok := source.LocalPath(s.URL)
		switch {
		case !ok:
		case info.IsDir():
			if holds(dest, path) {
				return &usageError{fmt.Errorf("%s holds the source %s, and pages would be written among its documents: choose a folder of its own, such as %s",
					dest, path, filepath.Join(dest, "summaries"))}
			}
		case info.Mode().IsRegular():
			uri, ok := source.FileURI(s.URL, dest)
			if !ok {
				continue
			}
			if is, err := reports.HasFile(ctx, s.URL, uri); err != nil || is {
				return cmp.Or(err, error(&usageError{fmt.Errorf("%s is a document of the source %s: choose another name", dest, path)}))
			}
		}
	}
	return nil
}

// holds reports whether a folder is, or holds, what is at path. It compares the files themselves,
// so links and other spellings do not matter.
func holds(folder, path string) bool {
	info, err := os.Stat(folder)
	if err != nil || !info.IsDir() {
		return false
	}
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return false // opening the source says why
	}
	for {
		at, err := os.Stat(path)
		if err == nil && os.SameFile(info, at) {
			return true
		}
		above := filepath.Dir(path)
		if above == path {
			return false
		}
		path = above
	}
}

// output is where the summaries of a run go.
type output struct {
	*app
	folder *export.Output // nil for standard output, or none
}

// openOutput opens the output of a run. A folder is created and tried before anything is planned.
func (a *app) openOutput() (*output, error) {
	o := &output{app: a}
	if a.config.Out == outStdout || a.config.Out == outNone {
		return o, nil
	}
	var err error
	if o.folder, err = export.OpenOutput(a.stop, a.config.Out); err == nil {
		if err = o.folder.CheckLines(); err != nil {
			err = errors.Join(err, o.folder.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--out %s: %w; choose another folder with --out, or none with --out none", a.config.Out, err)
	}
	return o, nil
}

func (o *output) close() {
	if o.folder == nil {
		return
	}
	if err := o.folder.Close(); err != nil {
		o.log.Warn("cannot close the output folder", "error", err)
	}
}

// begin records whose summaries the folder will hold, and returns the writer of early pages; nil
// without a folder.
func (o *output) begin(ctx context.Context, runs []ledger.Run) (*export.EarlyWriter, error) {
	if o.folder == nil {
		return nil, nil // documented
	}
	if err := o.folder.Hold(ctx, pairsOf(runs)); err != nil {
		return nil, fmt.Errorf("--out %s: %w", o.config.Out, err)
	}
	return export.NewEarlyWriter(o.folder), nil
}

// pairsOf returns the sources of runs with their profiles, each once, with its last run.
func pairsOf(runs []ledger.Run) []export.Pair {
	var pairs []export.Pair
	for _, r := range runs {
		pairs = slices.DeleteFunc(pairs, func(p export.Pair) bool { return p.Source == r.Source && p.Profile == r.Profile })
		pairs = append(pairs, export.Pair{Source: r.Source, Profile: r.Profile, Run: r.Name})
	}
	return pairs
}

// write writes the summaries of the runs' sources. It returns their number (nil with --out none)
// and, in a few words, where they are.
func (o *output) write(ctx context.Context, runs []ledger.Run) (n *int64, place string, err error) {
	pairs := pairsOf(runs)
	switch o.config.Out {
	case outNone:
		return nil, "the summaries are in the ledger", nil
	case outStdout:
		each, err := o.newest(ctx, pairs)
		if err != nil {
			return nil, "", err
		}
		lines, err := export.JSONL(o.stdout, each)
		written := int64(lines)
		return &written, summaries(written) + " on standard output", err
	}
	w, err := o.folder.Write(ctx, o.content(ctx, export.Content{Sources: pairs, Lines: true}))
	if err != nil {
		return nil, "", err
	}
	o.sayWritten(w, o.config.Out)
	written := int64(w.Summaries + w.Kept)
	return &written, summaries(written) + " in " + o.config.Out, nil
}

// content adds what [export.Output.Write] asks the ledger.
func (a *app) content(ctx context.Context, c export.Content) export.Content {
	reports := report.New(a.ledger)
	c.HasRun, c.Document = reports.HasRun, reports.HasDocument
	if c.Stream == nil {
		c.Stream = func(pairs []export.Pair) (export.Stream, error) { return a.newest(ctx, pairs) }
	}
	return c
}

// sayWritten says what is unusual about a folder that was written.
func (a *app) sayWritten(w export.Written, folder string) {
	if w.Emptied {
		a.say("warning: there are no summaries to write any more, so what %s holds stays as it is", folder)
	}
	if n := len(w.Edited); n > 0 {
		them := "them"
		if n == 1 {
			them = "it"
		}
		a.say("kept %s in %s: %s; to have %s written again, delete %s", count(int64(n), "edited page"), folder, shorten(w.Edited, 3), them, them)
	}
	if w.Removed > 0 {
		a.say("%s removed from %s: the documents are gone, or the pages have other names now", count(int64(w.Removed), "page"), folder)
	}
}

// shorten lists names: of more than most, the first ones and the number of the others.
func shorten(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// newest returns the summaries of sources. For each document it takes the summary of the last of
// the source's pairs that has one. It leaves out pairs that the ledger does not know.
func (a *app) newest(ctx context.Context, pairs []export.Pair) (export.Stream, error) {
	reports := report.New(a.ledger)
	known, err := reports.SourceProfiles(ctx)
	if err != nil {
		return nil, err
	}
	rank := map[ledger.SourceID]map[string]int{} // by the profile's hash; the highest is the newest
	for i, pair := range pairs {
		for _, p := range known {
			if p.Source == pair.Source && p.Profile == pair.Profile {
				if rank[p.SourceID] == nil {
					rank[p.SourceID] = map[string]int{}
				}
				rank[p.SourceID][p.Profile] = i + 1
			}
		}
	}
	return func(yield func(ledger.Exported) error) error {
		for _, id := range slices.Sorted(maps.Keys(rank)) {
			var best ledger.Exported // of the document that is being read
			had := 0
			err := reports.Summaries(ctx, report.SummaryFilter{SourceID: id}, func(e ledger.Exported) error {
				at := rank[id][e.Profile]
				if at == 0 {
					return nil
				}
				if had > 0 && best.URI != e.URI {
					if err := yield(best); err != nil {
						return err
					}
					had = 0
				}
				if at > had {
					best, had = e, at
				}
				return nil
			})
			if err == nil && had > 0 {
				err = yield(best)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, nil
}

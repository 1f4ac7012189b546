package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/marker"
)

// Content is what an output folder is to hold.
type Content struct {
	// Sources are registered in the folder's marker before anything is written.
	Sources []Pair
	// Lines also writes LinesName, for all sources that the marker has.
	Lines bool
	// Whole reports that the stream has every summary of its sources. Then pages of other documents
	// of these sources are removed too, not only those of documents that are gone.
	Whole bool
	// Stream returns the summaries of these pairs, which are those of the marker with Lines, else
	// Sources. Later pairs of a source are newer. It leaves out pairs that the ledger does not
	// know.
	Stream func(pairs []Pair) (Stream, error)
	// HasRun reports whether a run is in this ledger.
	HasRun func(ctx context.Context, name string) (bool, error)
	// Document reports whether a document is in this ledger, and whether it is gone from its
	// source.
	Document func(ctx context.Context, source, uri string) (known, gone bool, err error)
}

// Written is the result of [Output.Write].
type Written struct {
	Summaries int // pages and lines from the ledger
	Kept      int // lines of other ledgers
	Removed   int // pages
	// Edited are the pages that are left as people have edited them.
	Edited []string
	// Emptied reports that the folder has summaries, and there are none any more. Nothing was changed.
	Emptied bool
}

// errEmpty ends the writing of a file that would be empty.
var errEmpty = errors.New("no summaries")

// Write brings the folder up to date: it writes a page for each summary and, with Content.Lines, a
// line for each in [LinesName]; and it removes pages of documents that are gone. It waits until no
// other process writes into the folder.
//
// Lines and pages of other ledgers stay. If there are no summaries at all, everything stays as it
// is: a source whose documents are all gone is more often a disk that is not mounted.
func (o *Output) Write(ctx context.Context, c Content) (w Written, err error) {
	if err := o.marker.Lock(ctx); err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, o.marker.Unlock()) }()
	f := folderWriter{
		Output: o, content: c, pages: pages{Output: o}, names: newNamer(LinesName),
		hasRun: map[string]bool{}, emitted: map[uint64]struct{}{}, kept: map[uint64]struct{}{}, sources: map[string]bool{},
	}
	return f.write(ctx)
}

// folderWriter is one call of [Output.Write].
type folderWriter struct {
	*Output
	content Content
	pages   pages
	names   *namer
	written Written

	hasRun map[string]bool // by the run's name
	// mixed reports that the folder has summaries that this call does not write.
	mixed   bool
	others  int                 // pages that documents of other ledgers have
	emitted map[uint64]struct{} // documents with a summary from the ledger; only if mixed
	kept    map[uint64]struct{} // documents with a line of another ledger
	sources map[string]bool     // of the stream
}

func (f *folderWriter) write(ctx context.Context) (Written, error) {
	if err := f.register(ctx); err != nil {
		return f.written, err
	}
	pairs := f.content.Sources
	if f.content.Lines {
		pairs = f.marker.Sources()
	}
	stream, err := f.content.Stream(pairs)
	if err != nil {
		return f.written, err
	}
	for _, p := range pairs {
		f.sources[p.Source] = true
	}
	for _, p := range f.marker.Sources() {
		ours, err := f.isOurs(ctx, p.Run)
		if err != nil {
			return f.written, err
		}
		f.mixed = f.mixed || !ours || !f.sources[p.Source]
	}
	var keep func(string) (bool, error)
	if f.mixed {
		keep = func(name string) (bool, error) { return f.isOther(ctx, name) }
	}
	if err := f.reserve(f.names, keep); err != nil {
		return f.written, err
	}
	if f.content.Lines {
		err = f.writeLines(ctx, stream)
	} else {
		err = f.writePages(ctx, stream, nil)
	}
	f.written.Edited = f.pages.edited
	if f.written.Summaries+f.written.Kept == 0 && (err == nil || errors.Is(err, errEmpty)) {
		f.written.Emptied = f.holdsSummaries()
		return f.written, f.marker.Finish(func(Pair) bool { return true })
	}
	if err == nil {
		err = f.removeStale(ctx)
	}
	if err == nil {
		err = f.finish()
	}
	slices.Sort(f.written.Edited)
	return f.written, err
}

// holdsSummaries reports whether the folder has lines or pages of summaries.
func (f *folderWriter) holdsSummaries() bool {
	info, err := f.root.Lstat(LinesName)
	return err == nil && info.Size() > 0 || f.marker.HasPages()
}

// register lists LinesName and the pairs that the marker does not have yet as the newest.
func (f *folderWriter) register(ctx context.Context) error {
	var lines []marker.Line
	known := f.marker.Sources()
	for _, p := range f.content.Sources {
		if !slices.Contains(known, p) {
			lines = append(lines, p.Line())
		}
	}
	if f.content.Lines && !f.marker.Listed(LinesName) {
		if err := f.CheckLines(); err != nil {
			return err
		}
		lines = append(lines, marker.Line{File: LinesName})
	}
	if len(lines) == 0 {
		return nil
	}
	return f.marker.Add(ctx, lines...)
}

func (f *folderWriter) isOurs(ctx context.Context, run string) (bool, error) {
	if ours, ok := f.hasRun[run]; ok {
		return ours, nil
	}
	ours, err := f.content.HasRun(ctx, run)
	if err == nil {
		f.hasRun[run] = ours
	}
	return ours, err
}

// isOther reports whether a listed page belongs to a source or a ledger that this call does not
// write.
func (f *folderWriter) isOther(ctx context.Context, name string) (bool, error) {
	content, ok := f.readPage(name)
	if !ok {
		return false, nil
	}
	uri, source, ok := marker.PageOf(content)
	if !ok {
		return false, nil
	}
	if !f.sources[source] {
		return true, nil
	}
	known, _, err := f.content.Document(ctx, source, uri)
	if err == nil && !known {
		f.others++
	}
	return !known, err
}

// writePages writes the pages of a stream. line, if not nil, gets the record of each.
func (f *folderWriter) writePages(ctx context.Context, stream Stream, line func(Record) error) error {
	return f.pages.write(ctx, func(add func(Record) error) error {
		return stream(func(e ledger.Exported) error {
			r := RecordOf(e)
			r.Page = f.names.name(r)
			f.written.Summaries++
			if f.mixed {
				f.emitted[documentKey(r.Source, r.URI)] = struct{}{}
			}
			if line != nil {
				if err := line(r); err != nil {
					return err
				}
			}
			return add(r)
		})
	})
}

// writeLines writes the pages, and LinesName with a line for each.
func (f *folderWriter) writeLines(ctx context.Context, stream Stream) error {
	return replace(f.root, LinesName, true, func(w io.Writer) error {
		lines := NewLines(w)
		group, writing := errgroup.WithContext(ctx)
		records := make(chan Record, pageQueue)
		group.Go(func() error {
			for r := range records {
				if err := lines.Add(r); err != nil {
					return err
				}
			}
			return lines.Flush()
		})
		err := f.writePages(writing, stream, func(r Record) error {
			select {
			case records <- r:
				return nil
			case <-writing.Done():
				return context.Cause(writing)
			}
		})
		close(records)
		if failed := group.Wait(); failed != nil { // the cause of err
			return failed
		}
		if err == nil && f.mixed {
			err = f.keepLines(ctx, w)
		}
		if err == nil && f.written.Summaries+f.written.Kept == 0 && f.hasLines() {
			err = errEmpty
		}
		return err
	})
}

// keepLines copies the lines of other ledgers: those of runs that are not in this one, whose
// document has no summary here and is not gone.
func (f *folderWriter) keepLines(ctx context.Context, w io.Writer) error {
	return f.eachLine(func(raw []byte, r Record) error {
		k := documentKey(r.Source, r.URI)
		if _, ok := f.emitted[k]; ok {
			return nil
		}
		ours, err := f.isOurs(ctx, r.Run)
		if ours || err != nil {
			return err
		}
		if _, gone, err := f.content.Document(ctx, r.Source, r.URI); gone || err != nil {
			return err
		}
		f.kept[k] = struct{}{}
		f.written.Kept++
		_, err = w.Write(append(bytes.TrimRight(raw, "\r\n"), '\n'))
		return err
	})
}

// hasLines reports whether LinesName has content.
func (f *folderWriter) hasLines() bool {
	info, err := f.root.Stat(LinesName)
	return err == nil && info.Size() > 0
}

// removeStale removes the pages of documents that are gone, and pages that now have another name.
func (f *folderWriter) removeStale(ctx context.Context) error {
	return f.marker.NotCurrent(ctx, func(name string) (bool, error) {
		content, ok := f.readPage(name)
		if ok {
			stale, err := f.isStale(ctx, content)
			if !stale || err != nil {
				return false, err
			}
		}
		if f.samePlace(f.names, name) {
			return false, nil
		}
		removed, err := f.removePage(name)
		if removed && ok {
			f.written.Removed++
			f.removeEmptyFolders(name)
		}
		return removed, err
	})
}

// isStale reports whether a page that this call did not write must be removed.
func (f *folderWriter) isStale(ctx context.Context, content []byte) (bool, error) {
	uri, source, ok := marker.PageOf(content)
	if !ok {
		return len(content) == 0, nil // begun by a process that was killed
	}
	if _, ok := f.kept[documentKey(source, uri)]; ok {
		return false, nil
	}
	known, gone, err := f.content.Document(ctx, source, uri)
	if err != nil || !known || gone {
		return gone, err
	}
	return f.content.Lines || f.content.Whole && f.sources[source], nil
}

// finish drops the pairs that the folder no longer holds: older runs of a pair, and those of a
// ledger whose place this one has taken.
func (f *folderWriter) finish() error {
	pairs := f.marker.Sources() // write has asked the ledger about their runs
	newest := map[Pair]string{}
	mine := map[string]bool{} // sources
	for _, p := range pairs {
		mine[p.Source] = mine[p.Source] || f.hasRun[p.Run]
		newest[Pair{Source: p.Source, Profile: p.Profile}] = p.Run
	}
	return f.marker.Finish(func(p Pair) bool {
		if f.hasRun[p.Run] {
			return newest[Pair{Source: p.Source, Profile: p.Profile}] == p.Run
		}
		return f.written.Kept+f.others > 0 || !f.content.Lines || !mine[p.Source]
	})
}

// documentKey identifies a document in this process. Two share one by chance only (2^-64).
func documentKey(source, uri string) uint64 { return maphash.String(seed, source+"\x00"+uri) }

// recordOfLine parses a line of LinesName; ok is false for anything else.
func recordOfLine(raw []byte) (r Record, ok bool) {
	if !marker.IsRecord(raw) {
		return r, false
	}
	return r, json.Unmarshal(raw, &r) == nil
}

package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/ledger"
)

// LinesName is the file of JSON lines in an output folder.
const LinesName = "summaries.jsonl"

// Folder writes the output folder of `gistmill run`: [LinesName] with one line for each summary,
// and one page for each. It returns the number of summaries. It leaves pages alone that already
// have their content, and keeps those of documents that are not in the stream. early, if not nil,
// may have written some of the pages; it must be closed.
func Folder(ctx context.Context, dir string, early *EarlyWriter, each Stream) (n int, err error) {
	root, err := openFolder(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = replace(root, LinesName, true, func(w io.Writer) error {
		lines := NewLines(w)
		group, ctx := errgroup.WithContext(ctx)
		records := make(chan Record, pageQueue)
		group.Go(func() error {
			for r := range records {
				if err := lines.Add(r); err != nil {
					return err
				}
			}
			return lines.Flush()
		})
		err := writePages(ctx, root, newNamer(LinesName), early.upToDate(root), func(add func(Record) error) error {
			return each(func(e ledger.Exported) error {
				r := RecordOf(e)
				select {
				case records <- r:
					return add(r)
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			})
		})
		close(records)
		if failed := group.Wait(); failed != nil { // the cause of err
			return failed
		}
		n = lines.n
		return err
	})
	if err == nil {
		err = early.removeStale(root)
	}
	return n, err
}

// Markdown writes one page for each summary under dir and returns the number of summaries.
func Markdown(ctx context.Context, dir string, each Stream) (n int, err error) {
	root, err := openFolder(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = writePages(ctx, root, newNamer(), func(string, Record) (bool, error) { return false, nil }, func(add func(Record) error) error {
		return each(func(e ledger.Exported) error {
			n++
			return add(RecordOf(e))
		})
	})
	return n, err
}

func openFolder(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, fmt.Errorf("create the output folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the output folder: %w", err)
	}
	return root, nil
}

// pageQueue is the number of pages that may wait for a writer.
const pageQueue = 64

// page is a page to write.
type page struct {
	name   string // with slashes
	record Record
}

// writePages writes a page for each record that each adds, except those that skip reports. It uses
// one writer for each processor, because a small file spends most of its time in the kernel.
func writePages(ctx context.Context, root *os.Root, names *namer, skip func(name string, r Record) (bool, error),
	each func(add func(Record) error) error,
) error {
	writers, ctx := errgroup.WithContext(ctx)
	pages := make(chan page, pageQueue)
	for range runtime.GOMAXPROCS(0) {
		writers.Go(func() error {
			w := pageWriter{root: root, skip: skip}
			defer w.close()
			for p := range pages {
				if err := w.put(p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := each(func(r Record) error {
		select {
		case pages <- page{names.name(r), r}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(pages)
	if failed := writers.Wait(); failed != nil { // the cause of err
		return failed
	}
	return err
}

// pageWriter writes pages. It keeps the folder of the last page open, because the next page is
// usually in the same one.
type pageWriter struct {
	root    *os.Root
	skip    func(name string, r Record) (bool, error)
	folder  *os.Root
	name    string // of the folder
	content bytes.Buffer
}

func (w *pageWriter) put(p page) error {
	if skip, err := w.skip(p.name, p.record); skip || err != nil {
		return err
	}
	w.content.Reset()
	writePage(&w.content, p.record)
	if folder := path.Dir(p.name); w.folder == nil || folder != w.name {
		w.close()
		var err error
		if w.folder, err = openWithin(w.root, filepath.FromSlash(folder)); err != nil {
			return fmt.Errorf("create the folder %s: %w", folder, err)
		}
		w.name = folder
	}
	if err := putFile(w.folder, path.Base(p.name), w.content.Bytes()); err != nil {
		return fmt.Errorf("in %s: %w", w.name, err)
	}
	return nil
}

func (w *pageWriter) close() {
	if w.folder != nil {
		_ = w.folder.Close() // only files in it are written
	}
	w.folder = nil
}

// openWithin opens a folder below root and creates it if necessary.
func openWithin(root *os.Root, folder string) (*os.Root, error) {
	opened, err := root.OpenRoot(folder)
	if !errors.Is(err, fs.ErrNotExist) {
		return opened, err
	}
	if err := root.MkdirAll(folder, folderMode); err != nil {
		return nil, err
	}
	return root.OpenRoot(folder)
}

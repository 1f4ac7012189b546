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

// Folder writes what `gistmill run` leaves: summaries.jsonl with a line for every summary, and a Markdown file each beside
// it. It returns how many summaries that were. Markdown files that have their content already are left alone; files of
// documents that are not in the stream stay. ahead, if not nil, has written some of them and has ended.
func Folder(ctx context.Context, dir string, ahead *Ahead, each Stream) (n int, err error) {
	root, err := openFolder(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	err = replace(root, LinesName, true, func(w io.Writer) error {
		lines := NewLines(w)
		beside, ctx := errgroup.WithContext(ctx)
		records := make(chan Record, pagesAhead)
		beside.Go(func() error {
			for r := range records {
				if err := lines.Add(r); err != nil {
					return err
				}
			}
			return lines.Flush()
		})
		err := writePages(ctx, root, newNamer(LinesName), ahead.stands(root), func(add func(Record) error) error {
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
		if failed := beside.Wait(); failed != nil { // what the rest was stopped by
			return failed
		}
		n = lines.n
		return err
	})
	if err == nil {
		err = ahead.clear(root)
	}
	return n, err
}

// Markdown writes a Markdown file for each summary under dir and returns how many summaries there were.
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
		return nil, fmt.Errorf("make the output folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the output folder: %w", err)
	}
	return root, nil
}

// pagesAhead is how many pages may wait for who writes them.
const pagesAhead = 64

// page is a Markdown file to be.
type page struct {
	name   string // with slashes
	record Record
}

// writePages makes a page of each record that each adds, and writes them side by side: most of a small file's time goes
// by in the kernel. Those of which stands says so are there.
func writePages(ctx context.Context, root *os.Root, names *namer, stands func(name string, r Record) (bool, error),
	each func(add func(Record) error) error,
) error {
	writers, ctx := errgroup.WithContext(ctx)
	pages := make(chan page, pagesAhead)
	for range runtime.GOMAXPROCS(0) {
		writers.Go(func() error {
			w := pageWriter{root: root, stands: stands}
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
	if failed := writers.Wait(); failed != nil { // what each was stopped by
		return failed
	}
	return err
}

// pageWriter keeps the folder of the last page open, for the next one is mostly in it too.
type pageWriter struct {
	root    *os.Root
	stands  func(name string, r Record) (bool, error)
	folder  *os.Root
	name    string // of the folder
	content bytes.Buffer
}

func (w *pageWriter) put(p page) error {
	if there, err := w.stands(p.name, p.record); there || err != nil {
		return err
	}
	w.content.Reset()
	writePage(&w.content, p.record)
	if folder := path.Dir(p.name); w.folder == nil || folder != w.name {
		w.close()
		var err error
		if w.folder, err = openWithin(w.root, filepath.FromSlash(folder)); err != nil {
			return fmt.Errorf("make the folder %s: %w", folder, err)
		}
		w.name = folder
	}
	if err := put(w.folder, path.Base(p.name), w.content.Bytes()); err != nil {
		return fmt.Errorf("in %s: %w", w.name, err)
	}
	return nil
}

func (w *pageWriter) close() {
	if w.folder != nil {
		_ = w.folder.Close() // nothing is written through it
	}
	w.folder = nil
}

// openWithin opens a folder, and makes it if it is not there.
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

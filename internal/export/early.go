package export

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"

	"github.com/gistmill/gistmill/internal/ledger"
)

const (
	// earlyPages bounds the pages written early. Each takes about 150 bytes of memory until the end.
	earlyPages = 200_000
	// earlyQueue bounds the records that wait to be written. Each takes some kilobytes.
	earlyQueue = 1024
)

// EarlyWriter writes pages into a folder while summaries are still being made, so that people see
// them appear and little remains to do at the end. It has no say in the result: [Folder] goes
// through all pages and moves one that took another's name, because names depend on the order.
type EarlyWriter struct {
	dir     string
	records chan Record
	closing chan struct{} // closed when no record follows
	ended   chan struct{} // closed when Run has ended

	mu      sync.Mutex
	written map[uint64]writtenPage // by pathKey of the name
}

type writtenPage struct {
	name   string
	digest uint64 // of the record
}

// NewEarlyWriter returns a writer for a folder. [EarlyWriter.Run] creates the folder with the
// first page.
func NewEarlyWriter(dir string) *EarlyWriter {
	return &EarlyWriter{
		dir: dir, records: make(chan Record, earlyQueue), closing: make(chan struct{}),
		ended: make(chan struct{}), written: map[uint64]writtenPage{},
	}
}

// Add queues a page for Run. It never blocks: when the queue is full, the page is left to
// [Folder]. It is safe for concurrent use.
func (w *EarlyWriter) Add(e ledger.Exported) {
	select {
	case w.records <- RecordOf(e):
	default:
	}
}

// Close waits until Run has written the queued pages. Call it once, while Run runs or before.
// Records added later are not written.
func (w *EarlyWriter) Close() {
	close(w.closing)
	<-w.ended
}

// next returns the next record to write; false marks the end.
func (w *EarlyWriter) next() (Record, bool) {
	select {
	case r := <-w.records:
		return r, true
	case <-w.closing:
	}
	select {
	case r := <-w.records:
		return r, true
	default:
		return Record{}, false
	}
}

// Run writes queued pages until Close. After ctx has ended it stops at the next record. Call it
// once. It reports no error: [Folder] writes the missing pages again and returns the reason if
// that fails too.
func (w *EarlyWriter) Run(ctx context.Context) {
	defer close(w.ended)
	first, ok := w.next()
	if !ok {
		return
	}
	root, err := openFolder(w.dir)
	if err != nil {
		return
	}
	defer root.Close()
	if err := writePages(ctx, root, newNamer(LinesName), w.remember, func(add func(Record) error) error {
		if err := add(first); err != nil {
			return err
		}
		for n := 1; n < earlyPages; n++ {
			r, ok := w.next()
			if !ok {
				return nil
			}
			if err := add(r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		clear(w.written) // some of them were not written
	}
}

// remember records a page that is about to be written. It skips a page in a folder whose name
// looks like a page: in the final order that name may belong to a page, so Folder decides.
func (w *EarlyWriter) remember(name string, r Record) (skip bool, err error) {
	for range pageFolders(name) {
		return true, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written[pathKey(name)] = writtenPage{name, r.digest()}
	return false, nil
}

// upToDate returns a function that reports whether a page was written early with the same content.
// The function first removes an early page that collides with the new one: one whose name is now
// a folder, or whose name differs only in case or normalization, which is the same file on some
// file systems. A nil writer wrote nothing.
func (w *EarlyWriter) upToDate(root *os.Root) func(name string, r Record) (bool, error) {
	return func(name string, r Record) (bool, error) {
		if w == nil {
			return false, nil
		}
		for folder := range pageFolders(name) {
			if p, ok := w.take(folder); ok {
				if err := removePage(root, p.name); err != nil {
					return false, err
				}
			}
		}
		p, ok := w.take(name)
		if ok && p.name != name {
			return false, removePage(root, p.name)
		}
		return ok && p.digest == r.digest(), nil
	}
}

// take returns the page written under a name and forgets it.
func (w *EarlyWriter) take(name string) (writtenPage, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.written[pathKey(name)]
	delete(w.written, pathKey(name))
	return p, ok
}

// pageFolders yields the folders of a path whose names end like a page's.
func pageFolders(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, c := range name {
			if c == '/' && strings.HasSuffix(strings.ToLower(name[:i]), ".md") && !yield(name[:i]) {
				return
			}
		}
	}
}

// removeStale removes the early pages that got another name in the final order.
func (w *EarlyWriter) removeStale(root *os.Root) error {
	if w == nil {
		return nil
	}
	for _, p := range w.written {
		if err := removePage(root, p.name); err != nil {
			return err
		}
	}
	return nil
}

func removePage(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s, whose page moved: %w", name, err)
	}
	return nil
}

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
	// aheadMost bounds the pages that are written ahead: each is remembered, in about 150 bytes.
	aheadMost = 200_000
	// aheadWaiting bounds those that wait to be written, some kilobytes each.
	aheadWaiting = 1024
)

// Ahead writes pages into a folder while the summaries are still being made: people see them come, and at the end little is left to
// do. It decides nothing. Folder goes through all pages, and moves one that was given another's place: names depend on the order.
type Ahead struct {
	dir     string
	records chan Record
	last    chan struct{} // closed when all are added
	ended   chan struct{}

	mu      sync.Mutex
	written map[uint64]writtenPage // by the key of the name
}

type writtenPage struct {
	name   string
	digest uint64 // of the record
}

// NewAhead prepares for a folder, which is made with the first page.
func NewAhead(dir string) *Ahead {
	return &Ahead{
		dir: dir, records: make(chan Record, aheadWaiting), last: make(chan struct{}), ended: make(chan struct{}), written: map[uint64]writtenPage{},
	}
}

// Add has a page written soon. It never waits: what comes faster than it can be written is left to Folder. It is safe for concurrent use.
func (a *Ahead) Add(e ledger.Exported) {
	select {
	case a.records <- RecordOf(e):
	default:
	}
}

// End waits until Run has written what waits. What is added later is not written.
func (a *Ahead) End() {
	close(a.last)
	<-a.ended
}

// next is the next page to write; false is the end.
func (a *Ahead) next() (Record, bool) {
	select {
	case r := <-a.records:
		return r, true
	case <-a.last:
	}
	select {
	case r := <-a.records:
		return r, true
	default:
		return Record{}, false
	}
}

// Run writes until End, and then is not used again. What it can't write, Folder tries again, and says why.
func (a *Ahead) Run(ctx context.Context) {
	defer close(a.ended)
	first, ok := a.next()
	if !ok {
		return
	}
	root, err := openFolder(a.dir)
	if err != nil {
		return
	}
	defer root.Close()
	if err := writePages(ctx, root, newNamer(LinesName), a.note, func(add func(Record) error) error {
		if err := add(first); err != nil {
			return err
		}
		for n := 1; n < aheadMost; n++ {
			r, ok := a.next()
			if !ok {
				return nil
			}
			if err := add(r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		clear(a.written) // nobody knows which of them are there
	}
}

// note remembers a page that is about to be written. One in a folder that is named like a page is left to Folder: there it may be the page
// that gets the name.
func (a *Ahead) note(name string, r Record) (bool, error) {
	for range pageFolders(name) {
		return true, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.written[key(name)] = writtenPage{name, r.digest()}
	return false, nil
}

// stands says of pages whether they were written ahead, and makes room for one whose name was given to another's folder, or differs from
// another's in its spelling alone: some file systems have one file for both.
func (a *Ahead) stands(root *os.Root) func(name string, r Record) (bool, error) {
	return func(name string, r Record) (bool, error) {
		if a == nil {
			return false, nil
		}
		for folder := range pageFolders(name) {
			if p, ok := a.take(folder); ok {
				if err := remove(root, p.name); err != nil {
					return false, err
				}
			}
		}
		p, ok := a.take(name)
		if ok && p.name != name {
			return false, remove(root, p.name)
		}
		return ok && p.digest == r.digest(), nil
	}
}

// take gives the page out that was written at a place, once.
func (a *Ahead) take(name string) (writtenPage, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.written[key(name)]
	delete(a.written, key(name))
	return p, ok
}

// pageFolders are the folders of a path that are named like pages.
func pageFolders(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, c := range name {
			if c == '/' && strings.HasSuffix(strings.ToLower(name[:i]), ".md") && !yield(name[:i]) {
				return
			}
		}
	}
}

// clear removes pages that have come to another place.
func (a *Ahead) clear(root *os.Root) error {
	if a == nil {
		return nil
	}
	for _, p := range a.written {
		if err := remove(root, p.name); err != nil {
			return err
		}
	}
	return nil
}

func remove(root *os.Root, name string) error {
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s, whose page has come to another place: %w", name, err)
	}
	return nil
}

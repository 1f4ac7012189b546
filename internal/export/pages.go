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
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/marker"
)

const (
	// pageQueue is the number of pages that may wait for a writer.
	pageQueue = 64
	// pageBatch is the number of pages whose lines are written to the marker at once.
	pageBatch = 64
)

// pages writes pages into an output folder.
type pages struct {
	*Output
	// early leaves to a later pass whatever is not certain: a page of another document in this
	// place, or something in the way.
	early bool

	mu     sync.Mutex
	edited []string // pages that are left as people have edited them
}

// write writes a page for each record that each adds, in the place that Record.Page names. It uses
// one writer for each processor, because a small file spends most of its time in the kernel.
func (p *pages) write(ctx context.Context, each func(add func(Record) error) error) error {
	writers, ctx := errgroup.WithContext(ctx)
	queue := make(chan Record, pageQueue)
	for range runtime.GOMAXPROCS(0) {
		writers.Go(func() error {
			w := pageWriter{pages: p}
			defer w.close()
			return w.run(ctx, queue)
		})
	}
	err := each(func(r Record) error {
		select {
		case queue <- r:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(queue)
	if failed := writers.Wait(); failed != nil { // the cause of err
		return failed
	}
	return err
}

// pageWriter writes pages. It keeps the folder of the last page open, because the next page is
// usually in the same one.
type pageWriter struct {
	*pages
	folder *os.Root
	name   string // of the folder
	batch  []rendered
}

// rendered is a record with the content of its page.
type rendered struct {
	Record
	content  bytes.Buffer
	digest   uint64
	outdated bool // the page must be written
}

// run writes pages until the queue is closed. The lines of all pages that wait are written to the
// marker at once, before the first of these pages.
func (w *pageWriter) run(ctx context.Context, queue <-chan Record) error {
	w.batch = make([]rendered, pageBatch)
	for r := range queue {
		n := 0
		for ok := true; ok; {
			b := &w.batch[n]
			b.Record = r
			b.content.Reset()
			writePage(&b.content, r)
			b.digest = marker.Digest(b.content.Bytes())
			if n++; n == len(w.batch) {
				break
			}
			select {
			case r, ok = <-queue:
			default:
				ok = false
			}
		}
		if err := w.put(ctx, w.batch[:n]); err != nil {
			return err
		}
	}
	return nil
}

// put writes a batch of pages.
func (w *pageWriter) put(ctx context.Context, batch []rendered) error {
	var lines []marker.Line
	for i := range batch {
		b := &batch[i]
		last, fresh := w.marker.Last(b.Page, b.digest)
		b.outdated = false
		if fresh {
			continue
		}
		state, err := w.look(b)
		if err != nil {
			return err
		}
		b.outdated = state == outdated
		if !last && state != left {
			lines = append(lines, marker.FileLine(b.Page, b.digest))
		}
	}
	if len(lines) > 0 {
		if err := w.marker.Add(ctx, lines...); err != nil {
			return err
		}
	}
	for i := range batch {
		b := &batch[i]
		if b.outdated {
			if err := w.putFile(b); err != nil {
				return err
			}
			w.marker.SetFresh(b.Page)
		}
		if !w.early {
			w.marker.SetCurrent(b.Page)
		}
	}
	return nil
}

// state says what to do about a page.
type state int

const (
	upToDate state = iota // nothing
	outdated              // write it
	left                  // leave what is there
)

// look compares a page with what is in its place.
func (w *pageWriter) look(b *rendered) (state, error) {
	if err := w.open(path.Dir(b.Page)); err != nil {
		if w.early {
			return left, nil
		}
		return left, err
	}
	base := path.Base(b.Page)
	info, err := w.folder.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return outdated, nil
	case err != nil:
		return left, fmt.Errorf("look at %s: %w", b.Page, err)
	case info.IsDir() && !w.early:
		if err := w.clearFolder(b.Page); err != nil {
			return left, err
		}
		return outdated, nil
	case !info.Mode().IsRegular() || info.Size() > maxPage:
		return w.leave(b.Page), nil
	}
	existing, err := w.folder.ReadFile(base)
	if err != nil {
		return left, fmt.Errorf("read %s: %w", b.Page, err)
	}
	if bytes.Equal(existing, b.content.Bytes()) {
		return upToDate, nil
	}
	// A process that was killed leaves the beginning of a page.
	begun := bytes.HasPrefix(b.content.Bytes(), existing)
	if !w.marker.Listed(b.Page) || !begun && !w.marker.Wrote(b.Page, marker.Digest(existing)) {
		return w.leave(b.Page), nil
	}
	if uri, source, ok := marker.PageOf(existing); w.early && ok && (uri != b.URI || source != b.Source) {
		return left, nil
	}
	return outdated, nil
}

// leave records a page that is not written because a person has edited what is in its place.
func (p *pages) leave(name string) state {
	if p.early {
		return left
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.edited = append(p.edited, name)
	return left
}

// putFile gives a page its content. It writes a new file in place: content is about a page, and a
// rename would double the time.
func (w *pageWriter) putFile(b *rendered) error {
	if err := w.open(path.Dir(b.Page)); err != nil {
		return err
	}
	base := path.Base(b.Page)
	f, err := w.folder.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	switch {
	case err == nil:
		_, err = f.Write(b.content.Bytes())
		if err = errors.Join(err, f.Close()); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", b.Page, err), w.folder.Remove(base))
		}
		return nil
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("write %s: %w", b.Page, err)
	}
	if err := replace(w.folder, base, false, func(to io.Writer) error {
		_, err := to.Write(b.content.Bytes())
		return err
	}); err != nil {
		return fmt.Errorf("in %s: %w", w.name, err)
	}
	return nil
}

// open opens the folder of a page. It removes pages of other content that are in the way: no page
// of the present content has the name of another page's folder.
func (w *pageWriter) open(folder string) error {
	if w.folder != nil && folder == w.name {
		return nil
	}
	w.close()
	opened, err := openWithin(w.root, filepath.FromSlash(folder))
	if err != nil && !w.early {
		if err = w.removePagesNamed(folder); err == nil {
			opened, err = openWithin(w.root, filepath.FromSlash(folder))
		}
	}
	if err != nil {
		return fmt.Errorf("create the folder %s: %w", folder, err)
	}
	w.folder, w.name = opened, folder
	return nil
}

// removePagesNamed removes pages that have the name of a folder or of one above it.
func (o *Output) removePagesNamed(folder string) error {
	for i, c := range folder + "/" {
		if c == '/' {
			if _, err := o.removePage(folder[:i]); err != nil {
				return err
			}
		}
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

// removePage removes a page that gistmill wrote and that is not edited, and reports whether no page
// of this name is left.
func (o *Output) removePage(name string) (bool, error) {
	if _, err := o.root.Lstat(name); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true, nil
	}
	if !o.marker.Listed(name) {
		return false, nil
	}
	content, ok := o.readPage(name) // not ok: something else is there now
	if !ok || len(content) > 0 && !o.marker.Wrote(name, marker.Digest(content)) {
		return false, nil
	}
	if err := o.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("remove %s: %w", name, err)
	}
	return true, nil
}

// clearFolder removes a folder that holds nothing but pages.
func (o *Output) clearFolder(folder string) error {
	if err := o.walk(folder, func(name string) error {
		_, err := o.removePage(name)
		return err
	}, func(name string) error {
		_ = o.root.Remove(name) // fails if there is something in it
		return nil
	}); err != nil {
		return fmt.Errorf("remove old pages in %s: %w", folder, err)
	}
	if err := o.root.Remove(folder); err != nil {
		return fmt.Errorf("a page needs the name %s, which a folder has: %w", folder, err)
	}
	return nil
}

// removeEmptyFolders removes the folders of a page that have nothing in them.
func (o *Output) removeEmptyFolders(name string) {
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		if o.root.Remove(folder) != nil { // there is something in it
			return
		}
	}
}

// samePlace reports whether a page of the present content was written into the file of an old name:
// on some file systems names that differ in case or normalization are the same.
func (o *Output) samePlace(n *namer, name string) bool {
	if _, ok := n.files[pathKey(name)]; !ok {
		return false
	}
	dir, err := o.root.Open(path.Dir(name))
	if err != nil {
		return true
	}
	defer dir.Close()
	exact, others := false, false
	for {
		names, err := dir.Readdirnames(1024)
		for _, base := range names {
			other := path.Join(path.Dir(name), base)
			exact = exact || other == name
			others = others || other != name && pathKey(other) == pathKey(name)
		}
		if err != nil {
			return !exact || !others
		}
	}
}

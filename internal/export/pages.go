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

// page is a page to write.
type page struct {
	name   string // with slashes
	record Record
}

// pages writes pages into an output folder.
type pages struct {
	*Output
	// early leaves to a later pass whatever is not certain: a page of another document in this
	// place, or something in the way.
	early bool

	mu     sync.Mutex
	edited []string // pages that are left as people have edited them
}

// write writes a page for each record that each adds. It uses one writer for each processor,
// because a small file spends most of its time in the kernel. name is called in the order of the
// records.
func (p *pages) write(ctx context.Context, name func(Record) string, each func(add func(Record) error) error) error {
	writers, ctx := errgroup.WithContext(ctx)
	queue := make(chan page, pageQueue)
	for range runtime.GOMAXPROCS(0) {
		writers.Go(func() error {
			w := pageWriter{pages: p}
			defer w.close()
			return w.run(ctx, queue)
		})
	}
	err := each(func(r Record) error {
		select {
		case queue <- page{name(r), r}:
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

// rendered is a page with its content.
type rendered struct {
	page
	content bytes.Buffer
	digest  uint64
}

// run writes pages until the queue is closed. The lines of all pages that wait are written to the
// marker at once, before the first of these pages.
func (w *pageWriter) run(ctx context.Context, queue <-chan page) error {
	w.batch = make([]rendered, pageBatch)
	for p := range queue {
		n := 0
		for ok := true; ok; {
			b := &w.batch[n]
			b.page = p
			b.content.Reset()
			writePage(&b.content, p.record)
			b.digest = marker.Digest(b.content.Bytes())
			if n++; n == len(w.batch) {
				break
			}
			select {
			case p, ok = <-queue:
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
	write := make([]bool, len(batch))
	for i := range batch {
		b := &batch[i]
		last, fresh := w.marker.Last(b.name, b.digest)
		if fresh {
			w.current(b.name)
			continue
		}
		state, err := w.look(b)
		if err != nil {
			return err
		}
		if state == left {
			w.current(b.name)
			continue
		}
		write[i] = state == outdated
		if !last {
			lines = append(lines, marker.FileLine(b.name, b.digest))
		}
	}
	if len(lines) > 0 {
		if err := w.marker.Add(ctx, lines...); err != nil {
			return err
		}
	}
	for i := range batch {
		if !write[i] {
			continue
		}
		if err := w.putFile(&batch[i]); err != nil {
			return err
		}
		w.marker.SetFresh(batch[i].name)
	}
	for i := range batch {
		w.current(batch[i].name)
	}
	return nil
}

func (w *pageWriter) current(name string) {
	if !w.early {
		w.marker.SetCurrent(name)
	}
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
	if err := w.open(path.Dir(b.name)); err != nil {
		if w.early {
			return left, nil
		}
		return left, fmt.Errorf("create the folder %s: %w", path.Dir(b.name), err)
	}
	base := path.Base(b.name)
	info, err := w.folder.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return outdated, nil
	case err != nil:
		return left, fmt.Errorf("look at %s: %w", b.name, err)
	case info.IsDir() && !w.early:
		if err := w.clearFolder(b.name); err != nil {
			return left, err
		}
		return outdated, nil
	case !info.Mode().IsRegular() || info.Size() > maxPage:
		return w.leave(b.name), nil
	}
	existing, err := w.folder.ReadFile(base)
	if err != nil {
		return left, fmt.Errorf("read %s: %w", b.name, err)
	}
	if bytes.Equal(existing, b.content.Bytes()) {
		return upToDate, nil
	}
	// A process that was killed leaves the beginning of a page.
	begun := bytes.HasPrefix(b.content.Bytes(), existing)
	if !w.marker.Listed(b.name) || !begun && !w.marker.Wrote(b.name, marker.Digest(existing)) {
		return w.leave(b.name), nil
	}
	if uri, source, ok := marker.PageOf(existing); w.early && ok && (uri != b.record.URI || source != b.record.Source) {
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
	if err := w.open(path.Dir(b.name)); err != nil {
		return fmt.Errorf("create the folder %s: %w", path.Dir(b.name), err)
	}
	base := path.Base(b.name)
	f, err := w.folder.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	switch {
	case err == nil:
		_, err = f.Write(b.content.Bytes())
		if err = errors.Join(err, f.Close()); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", b.name, err), w.folder.Remove(base))
		}
		return nil
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("write %s: %w", b.name, err)
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
		for i, c := range folder + "/" {
			if c == '/' {
				if _, err := w.removePage(folder[:i]); err != nil {
					return err
				}
			}
		}
		opened, err = openWithin(w.root, filepath.FromSlash(folder))
	}
	if err != nil {
		return err
	}
	w.folder, w.name = opened, folder
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

// removePage removes a page that gistmill wrote and that is not edited, and reports whether there
// is none of this name any more.
func (o *Output) removePage(name string) (bool, error) {
	info, err := o.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true, nil
	}
	if err != nil || !info.Mode().IsRegular() || !o.marker.Listed(name) {
		return false, nil //nolint:nilerr // something else is there now
	}
	content, ok := o.readPage(name)
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

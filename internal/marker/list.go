package marker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// List tells which files of one output folder gistmill wrote. It is not safe for concurrent use.
type List struct {
	dir   string // resolved
	index index  // its info is nil in a folder that has no marker
}

// Finder finds output folders, and keeps the lists of those that it has found. It is not safe for
// concurrent use.
type Finder struct{ found map[string]*List }

// NewFinder returns an empty Finder.
func NewFinder() *Finder { return &Finder{found: map[string]*List{}} }

// Covering returns the lists of a folder and of every folder above it. dir is absolute, with links
// resolved.
func (f *Finder) Covering(dir string) ([]*List, error) {
	var above []*List
	if parent := filepath.Dir(dir); parent != dir {
		var err error
		if above, err = f.Covering(parent); err != nil {
			return nil, err
		}
	}
	return f.Enter(above, dir)
}

// Enter returns the lists that cover a folder: those of the folder above it, brought up to date,
// and its own. Call it after the folder was read: a file's line is written before the file, so no
// file that was seen is missing in the lists.
func (f *Finder) Enter(above []*List, dir string) ([]*List, error) {
	for _, l := range above {
		if err := l.refresh(); err != nil {
			return nil, err
		}
	}
	own, err := f.find(dir)
	if own == nil || err != nil {
		return above, err
	}
	return append(above[:len(above):len(above)], own), nil
}

// Wrote reports whether one of the lists has the file. path is absolute, with links resolved.
func Wrote(lists []*List, path string) bool {
	for _, l := range lists {
		if l.has(path) {
			return true
		}
	}
	return false
}

// Wrote reports whether gistmill wrote the file at path.
func (f *Finder) Wrote(path string) (bool, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, nil //nolint:nilerr // there is no such file
	}
	lists, err := f.Covering(filepath.Dir(path))
	return Wrote(lists, path), err
}

// find returns the list of a folder, nil if it is no output folder.
func (f *Finder) find(dir string) (*List, error) {
	l := f.found[dir]
	if l == nil {
		l = &List{dir: dir, index: newIndex()}
	}
	if err := l.refresh(); err != nil {
		return nil, err
	}
	if l.index.info == nil && !isFolderWithoutMarker(dir) {
		return nil, nil // documented
	}
	f.found[dir] = l
	return l, nil
}

// refresh reads what was appended to the marker since it was read, or all of one that was replaced.
func (l *List) refresh() error {
	path := filepath.Join(l.dir, Name)
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		l.index.info = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the list of files that gistmill wrote: %w", err)
	}
	if !now.Mode().IsRegular() { // opening a pipe would wait for a writer
		return fmt.Errorf("read the list of files that gistmill wrote: %s is not a file", path)
	}
	if read := l.index.info; read != nil && os.SameFile(read, now) && now.Size() == read.Size() {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the list of files that gistmill wrote: %w", err)
	}
	defer f.Close()
	return l.index.refresh(f)
}

// has reports whether the list has a file, by its absolute path.
func (l *List) has(path string) bool {
	name, ok := strings.CutPrefix(path, l.dir)
	if !ok {
		return false
	}
	name = filepath.ToSlash(strings.TrimPrefix(name, string(filepath.Separator)))
	if l.index.info != nil && (l.index.begun || l.index.files[key(name)].listed) {
		return l.index.files[key(name)].listed
	}
	return name == LinesName && isFolderWithoutMarker(l.dir) || strings.HasSuffix(name, ".md") && isPageFile(path)
}

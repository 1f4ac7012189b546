package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cespare/xxhash/v2"

	"github.com/gistmill/gistmill/internal/marker"
	"github.com/gistmill/gistmill/internal/text"
)

// maxFolderDepth limits the nesting of folders. Each level holds an open file descriptor.
const maxFolderDepth = 200

// localTree is a folder, or one file of a folder. All access goes through an os.Root, so no
// link can lead out of the folder.
type localTree struct {
	root *os.Root
	path string // absolute path of root, links resolved
	// single and realName are the URI and the name in root of a source that is one file.
	single, realName string
	skip             []string // absolute, both as given and with links resolved
	// files, if not nil, are the names in root of the files that are listed, sorted.
	files []string
}

// openLocal opens a folder or a file by its absolute path.
func openLocal(p string, skip []string) (*localTree, error) {
	info, err := os.Stat(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no file or folder %s", ErrNoSource, strconv.Quote(p))
		}
		return nil, fmt.Errorf("stat %s: %w", strconv.Quote(p), cause(err))
	}
	real, err := filepath.EvalSymlinks(p)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", strconv.Quote(p), cause(err))
	}
	t := &localTree{path: real}
	switch {
	case info.IsDir():
	case info.Mode().IsRegular():
		t.path, t.realName = filepath.Dir(real), filepath.Base(real)
		t.single = escapeName(filepath.Base(p))
	default:
		return nil, fmt.Errorf("%w: %s is neither a file nor a folder (write - to read standard input)", ErrNoSource, strconv.Quote(p))
	}
	for _, s := range skip {
		t.skip = append(t.skip, filepath.Clean(s), resolve(s))
	}
	if t.root, err = os.OpenRoot(t.path); err != nil {
		return nil, fmt.Errorf("open folder %s: %w", strconv.Quote(t.path), cause(err))
	}
	return t, nil
}

// resolve returns an absolute path with links resolved, as far as it exists.
func resolve(p string) string {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		return real
	}
	folder := filepath.Dir(p)
	if folder == p {
		return p
	}
	return filepath.Join(resolve(folder), filepath.Base(p))
}

func (t *localTree) close() error { return t.root.Close() }

func (t *localTree) list(ctx context.Context, f *filter, yield func(item) bool) error {
	if t.single != "" {
		wrote, err := marker.NewFinder().Wrote(filepath.Join(t.path, t.realName))
		if err != nil {
			return err
		}
		if wrote || marker.IsPrivate(t.realName) {
			return fmt.Errorf("%w: gistmill wrote %s itself", ErrNoSource, strconv.Quote(t.single))
		}
		it, err := t.item(ctx, t.single)
		if errors.Is(err, ErrGone) {
			return nil
		}
		if bad := (*InputError)(nil); errors.As(err, &bad) {
			it, err = withProblem(item{name: t.realName, uri: t.single}, bad.Reason), nil
		}
		if err != nil {
			return err
		}
		yield(it)
		return nil
	}
	w := localWalk{tree: t, filter: f, yield: yield, linked: map[fileID]bool{}, written: marker.NewFinder()}
	if t.files != nil {
		own := 0
		for _, name := range t.files {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if t.skippedBelow(name) {
				continue
			}
			wrote, err := w.written.Wrote(filepath.Join(t.path, filepath.FromSlash(name)))
			if err != nil {
				return err
			}
			if wrote || marker.IsPrivate(path.Base(name)) {
				own++
				continue
			}
			if more, err := w.entry(ctx, t.root, place{real: t.path}, name, false, nil); !more || err != nil {
				return err
			}
		}
		if own == len(t.files) {
			return fmt.Errorf("%w: gistmill wrote the files in %s itself", ErrNoSource, strconv.Quote(t.path))
		}
		return nil
	}
	lists, err := w.written.Covering(filepath.Dir(t.path))
	if err == nil {
		_, err = w.folder(ctx, t.root, place{real: t.path, lists: lists}, nil)
	}
	return err
}

// skipped reports whether Options.Skip names this path.
func (t *localTree) skipped(name string) bool {
	if len(t.skip) == 0 {
		return false
	}
	abs := filepath.Join(t.path, filepath.FromSlash(name))
	for _, s := range t.skip {
		if abs == s {
			return true
		}
	}
	return false
}

// skippedBelow reports whether Options.Skip names this path or a folder above it.
func (t *localTree) skippedBelow(name string) bool {
	if len(t.skip) == 0 {
		return false
	}
	for ; name != "." && name != "/" && name != ""; name = path.Dir(name) {
		if t.skipped(name) {
			return true
		}
	}
	return false
}

// nameOf returns the name in root of a URI.
func (t *localTree) nameOf(uri string) (string, error) {
	if t.single != "" {
		if uri != t.single {
			return "", ErrGone
		}
		return t.realName, nil
	}
	name := text.UnescapeName(uri)
	if !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsRune(name, 0) {
		return "", ErrGone
	}
	return name, nil
}

func (t *localTree) item(_ context.Context, uri string) (item, error) {
	name, err := t.nameOf(uri)
	if err != nil {
		return item{}, err
	}
	info, err := t.root.Stat(filepath.FromSlash(name))
	if err != nil {
		return item{}, t.openError(name, err)
	}
	if !info.Mode().IsRegular() {
		return item{}, &InputError{Reason: kindProblem(info.Mode())}
	}
	return fileItem(name, uri, info), nil
}

func (t *localTree) open(_ context.Context, it item) (io.ReadCloser, item, error) {
	// Without O_NONBLOCK, opening a named pipe waits until a process writes to it.
	file, err := t.root.OpenFile(filepath.FromSlash(it.name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, item{}, t.openError(it.name, err)
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, item{}, fmt.Errorf("stat open file: %w", cause(err))
	}
	if !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, item{}, &InputError{Reason: kindProblem(info.Mode())}
	}
	return file, fileItem(it.name, it.uri, info), nil
}

func (t *localTree) readRange(ctx context.Context, it item, offset, length int64) ([]byte, error) {
	r, now, err := t.open(ctx, it)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	if length = min(length, now.size-offset); length <= 0 {
		return nil, nil
	}
	b := make([]byte, length)
	n, err := r.(*os.File).ReadAt(b, offset)
	if err != nil && !atEnd(err) {
		return nil, fmt.Errorf("read: %w", cause(err))
	}
	return b[:n], nil
}

// openError converts the error of opening a name: to ErrGone if there is nothing of that name,
// and to an *InputError if the reason is the file itself.
func (t *localTree) openError(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &InputError{Reason: "permission denied"}
	case errors.Is(err, syscall.ELOOP):
		return &InputError{Reason: "symbolic links go in a circle"}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		if info, lerr := t.root.Lstat(filepath.FromSlash(name)); lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
			return &InputError{Reason: "broken symbolic link: what it points at does not exist"}
		}
		return ErrGone
	case errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENAMETOOLONG):
		return &InputError{Reason: cause(err).Error()}
	}
	if leaves(err) {
		return &InputError{Reason: "symbolic link leaves the source's folder (it is not followed)"}
	}
	return fmt.Errorf("open: %w", cause(err))
}

// leaves reports whether os.Root refused a path because it leads outside. Go does not export
// that error, so its text is the only sign.
func leaves(err error) bool {
	return err != nil && strings.Contains(err.Error(), "escapes")
}

// cause removes the path from a file system error. The caller adds the path in escaped form.
func cause(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func fileItem(name, uri string, info fs.FileInfo) item {
	return item{name: name, uri: uri, size: info.Size(), modified: info.ModTime(),
		version: fileVersion(info.Size(), info.ModTime())}
}

// withProblem marks an item as unreadable.
func withProblem(it item, problem string) item {
	it.problem = problem
	it.version += "!" + strconv.FormatUint(xxhash.Sum64String(problem), 36)
	return it
}

func kindProblem(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder where a file was expected"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe is not a document"
	case m&fs.ModeSocket != 0:
		return "a socket is not a document"
	case m&fs.ModeDevice != 0:
		return "a device is not a document"
	}
	return "not a regular file"
}

// localWalk is one listing of a folder.
type localWalk struct {
	tree   *localTree
	filter *filter
	yield  func(item) bool
	// linked holds the folders that were entered through a link. Each folder is entered this way
	// once, and never from inside itself, so that links between folders cannot multiply the
	// listing. No document is lost: a link can only lead to a folder inside the root, which is
	// also listed under its own name unless that is hidden.
	linked  map[fileID]bool
	written *marker.Finder // of the files that gistmill wrote
}

// place is a folder that a listing is in.
type place struct {
	rel   string         // from the source's root, with slashes
	real  string         // absolute, links resolved
	lists []*marker.List // that cover it
}

// folder lists one folder and reports whether to continue. above holds the folders that contain
// it.
func (w *localWalk) folder(ctx context.Context, root *os.Root, at place, above []fs.FileInfo) (bool, error) {
	rel := at.rel
	dir, err := root.Open(".")
	if err != nil {
		return w.unreadable(rel, err)
	}
	defer func() { _ = dir.Close() }()
	self, err := dir.Stat()
	if err != nil {
		return w.unreadable(rel, err)
	}
	above = append(above[:len(above):len(above)], self)
	names := newNameSorter()
	defer names.close()
	for {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			name := e.Name()
			if e.IsDir() {
				name += "/"
			}
			if err := names.add(name); err != nil {
				return false, fmt.Errorf("list folder %s: %w", strconv.Quote(rel), err)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return w.unreadable(rel, err)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	if at.lists, err = w.written.Enter(at.lists, at.real); err != nil {
		return false, err
	}
	for name, err := range names.sorted() {
		if err != nil {
			return false, fmt.Errorf("list folder %s: %w", strconv.Quote(rel), err)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		isDir := strings.HasSuffix(name, "/")
		name = strings.TrimSuffix(name, "/")
		more, err := w.entry(ctx, root, at, name, isDir, above)
		if !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// unreadable lists a folder that cannot be read as one unreadable document. For the source's
// root folder it returns an error.
func (w *localWalk) unreadable(rel string, err error) (bool, error) {
	if rel == "" {
		return false, fmt.Errorf("list the source's folder: %w", cause(err))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // it was removed meanwhile
	}
	return w.yield(withProblem(item{name: rel, uri: escapeName(rel)}, "folder cannot be listed: "+cause(err).Error())), nil
}

func (w *localWalk) entry(ctx context.Context, parent *os.Root, folder place, base string, isDir bool, above []fs.FileInfo) (bool, error) {
	name := path.Join(folder.rel, base)
	uri := escapeName(name)
	if !w.filter.shows(uri) || w.tree.skipped(name) {
		return true, nil
	}
	if isDir {
		if w.filter.prunes(uri) {
			return true, nil
		}
		return w.enter(ctx, parent, base, folder.below(base), above)
	}
	if len(folder.lists) > 0 && marker.Wrote(folder.lists, filepath.Join(folder.real, base)) {
		return true, nil
	}
	info, err := parent.Lstat(base)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return w.yield(withProblem(item{name: name, uri: uri}, cause(err).Error())), nil
	}
	it := fileItem(name, uri, info)
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := w.tree.root.Stat(filepath.FromSlash(name))
		if err != nil {
			err = w.tree.openError(name, err)
			bad := (*InputError)(nil)
			switch {
			case errors.As(err, &bad):
				return w.yield(withProblem(it, bad.Reason)), nil
			case errors.Is(err, ErrGone):
				return true, nil
			}
			return w.yield(withProblem(it, "symbolic link cannot be followed: "+err.Error())), nil
		}
		if target.IsDir() {
			return w.enterLink(ctx, name, target, above)
		}
		if wrote, err := w.written.Wrote(filepath.Join(w.tree.path, filepath.FromSlash(name))); wrote || err != nil {
			return err == nil, err
		}
		it, info = fileItem(name, uri, target), target
	}
	if info.IsDir() { // it replaced a file since the folder was read
		return w.enter(ctx, parent, base, folder.below(base), above)
	}
	if !info.Mode().IsRegular() {
		it = withProblem(it, kindProblem(info.Mode()))
	}
	return w.yield(it), nil
}

// below returns the place of a folder in this one.
func (p place) below(base string) place {
	return place{rel: path.Join(p.rel, base), real: filepath.Join(p.real, base), lists: p.lists}
}

func (w *localWalk) enter(ctx context.Context, parent *os.Root, base string, at place, above []fs.FileInfo) (bool, error) {
	name := at.rel
	if len(above) > maxFolderDepth {
		return w.yield(withProblem(item{name: name, uri: escapeName(name)},
			fmt.Sprintf("folders are nested deeper than %d levels", maxFolderDepth))), nil
	}
	sub, err := parent.OpenRoot(base)
	if err != nil {
		return w.unreadable(name, err)
	}
	defer func() { _ = sub.Close() }()
	return w.folder(ctx, sub, at, above)
}

// enterLink lists the folder that a link leads to.
func (w *localWalk) enterLink(ctx context.Context, name string, target fs.FileInfo, above []fs.FileInfo) (bool, error) {
	for _, a := range above {
		if os.SameFile(a, target) {
			return true, nil
		}
	}
	id, ok := identify(target)
	if !ok || w.linked[id] {
		return true, nil
	}
	w.linked[id] = true
	real, err := filepath.EvalSymlinks(filepath.Join(w.tree.path, filepath.FromSlash(name)))
	if err != nil {
		return w.unreadable(name, err)
	}
	lists, err := w.written.Covering(filepath.Dir(real))
	if err != nil {
		return false, err
	}
	return w.enter(ctx, w.tree.root, filepath.FromSlash(name), place{rel: name, real: real, lists: lists}, above)
}

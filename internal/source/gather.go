package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gocloud.dev/blob"
	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/text"
)

// bucketLookups is how many objects are looked up at once.
const bucketLookups = 16

// Given is one of the sources that a user names.
type Given struct {
	// Address is for [Open].
	Address string
	// Files are [Options].Files for it, if several files are one source.
	Files []string
}

// Gather makes sources of the addresses that a user names, in their order. Several files are one
// source: their common folder with [Options].Files, so that a later listing of that folder finds
// the same documents. So are several objects of one bucket. A single file stays a source of its
// own. What is named twice, or is a file of a folder that is named too, counts once. An error that
// matches [ErrNoSource] names an address that does not exist.
func Gather(ctx context.Context, all []string) ([]Given, error) {
	if len(all) == 1 {
		return []Given{{Address: all[0]}}, nil
	}
	g := gathering{objects: map[string][]namedObject{}, seen: map[string]bool{}}
	for i, raw := range all {
		if err := g.add(ctx, i, raw); err != nil {
			return nil, err
		}
	}
	g.groupFiles()
	if err := g.groupObjects(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(g.sources, func(a, b placed) int { return cmp.Compare(a.at, b.at) })
	given := make([]Given, len(g.sources))
	for i, s := range g.sources {
		given[i] = s.Given
	}
	return given, nil
}

// placed is a source with the number of its first address.
type placed struct {
	Given
	at int
}

// namedFile is a local file that a user names.
type namedFile struct {
	at        int
	raw, path string // path is absolute
	real      string // path with links resolved
}

// namedObject is a key in a bucket that does not end in a slash: an object or a folder.
type namedObject struct {
	at  int
	raw string
	address
}

type gathering struct {
	sources []placed
	folders []string // absolute, both as given and with links resolved
	files   []namedFile
	objects map[string][]namedObject // by bucket
	seen    map[string]bool
}

// first reports whether an identity comes for the first time.
func (g *gathering) first(identity string) bool {
	if g.seen[identity] {
		return false
	}
	g.seen[identity] = true
	return true
}

func (g *gathering) single(at int, raw string) {
	g.sources = append(g.sources, placed{Given{Address: raw}, at})
}

func (g *gathering) add(ctx context.Context, at int, raw string) error {
	if raw == "-" {
		return errors.New("- reads standard input and can't be combined with other sources")
	}
	l, err := parseAddress(raw)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.scheme != "file" {
		if !g.first(l.url(l.fields.withDefaults())) {
			return nil
		}
		if l.path == "" || strings.HasSuffix(l.path, "/") {
			g.single(at, raw)
			return nil
		}
		root := l
		root.path = ""
		bucket := root.url(l.fields.withDefaults())
		g.objects[bucket] = append(g.objects[bucket], namedObject{at, raw, l})
		return nil
	}
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there is no file or folder %s", ErrNoSource, strconv.Quote(l.path))
	}
	// Another name of the same file is the same file.
	identity := l.path
	if real, err := filepath.EvalSymlinks(l.path); err == nil {
		identity = real
	}
	if !g.first(identity + "\x00" + l.fields.id + "\x00" + l.fields.text) {
		return nil
	}
	switch {
	case err != nil || l.fields != lineFields{}, !info.IsDir() && !info.Mode().IsRegular():
		g.single(at, raw) // Open says what is wrong
	case info.IsDir():
		g.folders = append(g.folders, l.path, identity)
		g.single(at, raw)
	default:
		g.files = append(g.files, namedFile{at, raw, l.path, identity})
	}
	return nil
}

// groupFiles makes one source of the files that no folder has.
func (g *gathering) groupFiles() {
	files := slices.DeleteFunc(g.files, func(f namedFile) bool {
		return slices.ContainsFunc(g.folders, func(folder string) bool {
			rel, ok := below(folder, f.path)
			if !ok {
				rel, ok = below(folder, f.real)
			}
			return ok && (&filter{}).visible(escapeName(rel))
		})
	})
	for len(files) > 1 {
		folder := filepath.Dir(files[0].path)
		for _, f := range files {
			for {
				if _, ok := below(folder, f.path); ok {
					break
				}
				folder = filepath.Dir(folder)
			}
		}
		if slices.Contains(g.folders, folder) { // hidden files of a folder that is a source already
			break
		}
		inside, outside := reachable(folder, files)
		for _, f := range outside {
			g.single(f.at, f.raw)
		}
		if len(outside) > 0 { // the others may have a deeper folder in common
			files = inside
			continue
		}
		names := make([]string, len(files))
		for i, f := range files {
			rel, _ := below(folder, f.path)
			names[i] = escapeName(rel)
		}
		g.sources = append(g.sources, placed{Given{folder, names}, files[0].at})
		return
	}
	for _, f := range files {
		g.single(f.at, f.raw)
	}
}

// below returns the name of a path relative to a folder that holds it, with slashes.
func below(folder, name string) (string, bool) {
	rel, err := filepath.Rel(folder, name)
	if err != nil || rel == "." || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

// reachable divides files into those that a source of the folder can read, and those that are
// there through a link that leaves it.
func reachable(folder string, files []namedFile) (inside, outside []namedFile) {
	t, err := openLocal(folder, nil)
	if err != nil {
		return nil, files
	}
	defer func() { _ = t.close() }()
	for _, f := range files {
		rel, _ := below(folder, f.path)
		if _, err := t.root.Stat(filepath.FromSlash(rel)); leaves(err) {
			outside = append(outside, f)
		} else {
			inside = append(inside, f)
		}
	}
	return inside, outside
}

// groupObjects makes one source of the objects of each bucket.
func (g *gathering) groupObjects(ctx context.Context) error {
	for _, named := range g.objects {
		if len(named) == 1 {
			g.single(named[0].at, named[0].raw)
			continue
		}
		b, err := openBlob(ctx, named[0].address)
		if err != nil {
			return err
		}
		given, err := gatherObjects(ctx, b, named)
		if err = errors.Join(err, b.Close()); err != nil {
			return err
		}
		g.sources = append(g.sources, given...)
	}
	return nil
}

func gatherObjects(ctx context.Context, b *blob.Bucket, named []namedObject) ([]placed, error) {
	exists := make([]bool, len(named))
	lookups, ctx := errgroup.WithContext(ctx)
	lookups.SetLimit(bucketLookups)
	for i, o := range named {
		lookups.Go(func() (err error) {
			if exists[i], err = b.Exists(ctx, o.path); err != nil {
				return bucketProblem(o.scheme+"://"+o.bucket+"/"+o.path, err)
			}
			return nil
		})
	}
	if err := lookups.Wait(); err != nil {
		return nil, err
	}
	var given []placed
	var objects []namedObject
	for i, o := range named {
		if exists[i] {
			objects = append(objects, o)
		} else { // Open tells a folder from nothing
			given = append(given, placed{Given{Address: o.raw}, o.at})
		}
	}
	if len(objects) < 2 {
		for _, o := range objects {
			given = append(given, placed{Given{Address: o.raw}, o.at})
		}
		return given, nil
	}
	common := objects[0].address
	common.path = folderOf(common.path)
	for _, o := range objects {
		for !strings.HasPrefix(o.path, common.path) {
			common.path = folderOf(strings.TrimSuffix(common.path, "/"))
		}
	}
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = escapeName(o.path[len(common.path):])
	}
	return append(given, placed{Given{common.url(common.fields.withDefaults()), names}, objects[0].at}), nil
}

// folderOf returns a key up to its last slash.
func folderOf(key string) string { return key[:strings.LastIndexByte(key, '/')+1] }

// fileSet returns the names of files in the order of a listing, each once.
func fileSet(uris []string) []string {
	names := make([]string, len(uris))
	for i, uri := range uris {
		names[i] = text.UnescapeName(uri)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/marker"
)

// LinesName is the file of JSON lines in the output folder of `gistmill run`.
const LinesName = marker.LinesName

// Pair is a source with a profile and the run that summarized it, as the marker of an output folder
// has them.
type Pair = marker.Pair

// Output is an output folder. Its marker lists the files that gistmill wrote there: only these are
// ever replaced or removed, and no listing takes them for documents. A page that a person has
// edited stays as it is.
//
// Any number of processes of one machine may write into one folder, with one ledger or several.
type Output struct {
	dir    string
	root   *os.Root
	marker *marker.Marker
	made   bool // by OpenOutput
}

// OpenOutput creates a folder if necessary and checks that files can be written to it. If the
// folder is the output of a version that wrote no marker, OpenOutput lists its pages. Close it at
// the end.
func OpenOutput(ctx context.Context, dir string) (o *Output, err error) {
	_, missing := os.Lstat(dir)
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	o = &Output{dir: dir, root: root, marker: marker.Open(root), made: errors.Is(missing, fs.ErrNotExist)}
	if err = probe(root); err == nil {
		err = o.adopt(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Close releases the folder. It removes a folder that OpenOutput made if nothing was written to it.
func (o *Output) Close() error {
	err := o.root.Close()
	if o.made {
		_ = os.Remove(o.dir) // fails if there is something in it, as it should
	}
	return err
}

// Hold records that the folder holds the summaries of these sources from now on.
func (o *Output) Hold(ctx context.Context, pairs []Pair) error {
	lines := make([]marker.Line, len(pairs))
	for i, p := range pairs {
		lines[i] = p.Line()
	}
	return o.marker.Add(ctx, lines...)
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

// probe writes a file and removes it.
func probe(root *os.Root) error {
	name := marker.TemporaryName()
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("write to the output folder: %w", err)
	}
	_, err = f.Write(make([]byte, 4096)) // a full disk has room for an empty file
	if err = errors.Join(err, f.Close(), root.Remove(name)); err != nil {
		return fmt.Errorf("write to the output folder: %w", err)
	}
	return nil
}

// adopt lists the pages of a folder whose marker is missing or damaged: those that end like a page.
// Without a marker, they are those of an older version. With a damaged one, a person may have
// edited a page since it was listed: a page that differs from what would be written stays.
func (o *Output) adopt(ctx context.Context) error {
	damaged := false
	switch _, err := o.root.Lstat(marker.Name); {
	case err == nil:
		damaged = true
		if err := o.marker.Lock(ctx); err != nil {
			return err
		}
		begun := o.marker.Begun()
		if err := o.marker.Unlock(); begun || err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	var lines []marker.Line
	add := func(l marker.Line) error {
		if lines = append(lines, l); len(lines) < pageBatch {
			return nil
		}
		err := o.marker.Add(ctx, lines...)
		lines = lines[:0]
		return err
	}
	pairs, err := o.pairsOfLines()
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if err := add(p.Line()); err != nil {
			return err
		}
	}
	if len(pairs) > 0 {
		if err := add(marker.Line{File: LinesName}); err != nil {
			return err
		}
	}
	if err := o.walk(".", func(name string) error {
		if !strings.HasSuffix(name, ".md") {
			return nil
		}
		content, ok := o.readPage(name)
		if _, _, is := marker.PageOf(content); !ok || !is {
			return nil
		}
		switch {
		case !damaged:
			return add(marker.FileLine(name, marker.Digest(content)))
		case o.marker.Listed(name):
			return nil
		}
		return add(marker.FileLine(name, marker.UnknownDigest))
	}, nil); err != nil {
		return fmt.Errorf("look for pages in the output folder: %w", err)
	}
	if len(lines) == 0 {
		return nil
	}
	return o.marker.Add(ctx, lines...)
}

// pairsOfLines returns the sources of the lines in LinesName, in the order of their last lines. It
// returns none if the file does not begin with a record.
func (o *Output) pairsOfLines() ([]Pair, error) {
	var pairs []Pair
	err := o.eachLine(func(_ []byte, r Record) error {
		if p := (Pair{Source: r.Source, Profile: r.Profile, Run: r.Run}); len(pairs) == 0 || pairs[len(pairs)-1] != p {
			pairs = append(slices.DeleteFunc(pairs, func(q Pair) bool { return p == q }), p)
		}
		return nil
	})
	return pairs, err
}

// eachLine calls each with the records of LinesName, if there is such a file.
func (o *Output) eachLine(each func(raw []byte, r Record) error) error {
	f, err := o.root.Open(LinesName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", LinesName, err)
	}
	defer f.Close()
	b := bufio.NewReaderSize(f, writeBuffer)
	for {
		raw, err := b.ReadBytes('\n')
		if r, ok := recordOfLine(raw); ok {
			if err := each(raw, r); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", LinesName, err)
		}
	}
}

// CheckLines fails if the folder has a file with the name LinesName that gistmill did not write.
func (o *Output) CheckLines() error {
	if o.marker.Listed(LinesName) {
		return nil
	}
	info, err := o.root.Lstat(LinesName)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", LinesName, err)
	}
	if info.Mode().IsRegular() {
		f, err := o.root.Open(LinesName)
		if err != nil {
			return fmt.Errorf("read %s: %w", LinesName, err)
		}
		defer f.Close()
		if ok, err := marker.BeginsWithRecord(f); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("the output folder has a %s that gistmill did not write: move it away, or choose another folder", LinesName)
}

// walk calls file for every file below a folder, in no order, except gistmill's own. After the
// files of each folder it calls after, unless that is nil.
func (o *Output) walk(folder string, file, after func(name string) error) error {
	dir, err := o.root.Open(folder)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			name := path.Join(folder, e.Name())
			switch {
			case marker.IsPrivate(e.Name()):
			case e.IsDir():
				if err := o.walk(name, file, after); err != nil {
					return err
				}
				if after != nil {
					if err := after(name); err != nil {
						return err
					}
				}
			default:
				if err := file(name); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reserve keeps the names of files that are not to be replaced from being used for pages: files
// that gistmill did not write, and pages for which keep returns true.
func (o *Output) reserve(n *namer, keep func(name string) (bool, error)) error {
	ours := map[string]bool{} // folders that hold pages and nothing else; few at once
	other := map[string]bool{}
	if err := o.walk(".", func(name string) error {
		if name == LinesName {
			return nil
		}
		kept := !o.marker.Listed(name)
		if !kept && keep != nil {
			var err error
			if kept, err = keep(name); err != nil {
				return err
			}
		}
		if kept {
			n.files[pathKey(name)] = struct{}{}
			other[path.Dir(name)] = true
		} else {
			ours[path.Dir(name)] = true
		}
		return nil
	}, func(folder string) error {
		mine := ours[folder] && !other[folder]
		delete(ours, folder)
		delete(other, folder)
		if mine {
			ours[path.Dir(folder)] = true
			return nil
		}
		n.folders[pathKey(folder)] = struct{}{}
		other[path.Dir(folder)] = true
		return nil
	}); err != nil {
		return fmt.Errorf("list the output folder: %w", err)
	}
	return nil
}

// maxPage is the size of the largest file that is compared with a page, in bytes.
const maxPage = 64 << 20

// readPage returns the content of a regular file; ok is false if there is none.
func (o *Output) readPage(name string) (content []byte, ok bool) {
	info, err := o.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxPage {
		return nil, false
	}
	content, err = o.root.ReadFile(name)
	return content, err == nil
}

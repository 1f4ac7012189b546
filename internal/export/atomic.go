package export

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File modes before the umask is applied: who may read summaries is for the umask to say.
const (
	fileMode   = 0o666
	folderMode = 0o777
)

// File writes a file through write. It appears at path whole, and only if write succeeds; until then what
// was there stays. What is no regular file (a pipe, /dev/stdout) is written to directly. Missing folders are made.
func File(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil {
		if info.IsDir() {
			return fmt.Errorf("write %s: it is a folder; name a file", path)
		}
		if !info.Mode().IsRegular() {
			return writeThrough(path, write)
		}
		// Of a symbolic link the target is replaced, and the link stays.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
	}
	folder, name := filepath.Split(path)
	if folder == "" {
		folder = "."
	}
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	return replace(root, name, true, write)
}

func writeThrough(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// replace writes a file beside name and gives it that name when it is whole; durable also brings it to the disk first.
func replace(root *os.Root, name string, durable bool, write func(io.Writer) error) error {
	temporary := filepath.Join(filepath.Dir(name), ".gistmill-"+rand.Text()[:12]+".tmp")
	f, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = write(f)
	if err == nil && durable {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		if gone := root.Remove(temporary); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// put makes a file in root have this content, and leaves it alone if it has. A new one, of a page or so, is written at its place:
// to give it its name afterwards would take as long again. If the program dies in between, the next run finds that it differs.
func put(root *os.Root, name string, content []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	switch {
	case err == nil:
		_, err = f.Write(content)
		if err = errors.Join(err, f.Close()); err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", name, err), root.Remove(name))
		}
		return nil
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("write %s: %w", name, err)
	case same(root, name, content):
		return nil
	}
	return replace(root, name, false, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// same compares sizes first, so that a foreign file of any size is not read.
func same(root *os.Root, name string, content []byte) bool {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(content)) {
		return false
	}
	there, err := root.ReadFile(name)
	return err == nil && bytes.Equal(there, content)
}

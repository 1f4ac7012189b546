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

// File modes before the umask, which decides who may read summaries.
const (
	fileMode   = 0o666
	folderMode = 0o777
)

// File writes a file atomically: the content that write produces appears at path only after write
// succeeds, and an existing file stays until then. If path is not a regular file (a pipe,
// /dev/stdout), File writes to it directly. It creates missing folders. It replaces the target of a
// symbolic link and keeps the link.
func File(path string, write func(io.Writer) error) error {
	if info, err := os.Stat(path); err == nil {
		if info.IsDir() {
			return fmt.Errorf("write %s: it is a folder; give the name of a file", path)
		}
		if !info.Mode().IsRegular() {
			return writeThrough(path, write)
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
	}
	folder, name := filepath.Split(path)
	if folder == "" {
		folder = "."
	}
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return fmt.Errorf("create the folder: %w", err)
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

// replace writes a temporary file in the folder of name and renames it when it is complete. durable
// syncs it to the disk before that.
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

// putFile gives a file in root this content, and leaves a file alone that already has it. It writes
// a new file in place: content is about a page, and a rename would double the time. If the program
// dies meanwhile, the next run finds the difference.
func putFile(root *os.Root, name string, content []byte) error {
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
	case hasContent(root, name, content):
		return nil
	}
	return replace(root, name, false, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// hasContent reports whether a file has this content. It compares sizes first, to avoid reading a
// large file that is not ours.
func hasContent(root *os.Root, name string, content []byte) bool {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(content)) {
		return false
	}
	existing, err := root.ReadFile(name)
	return err == nil && bytes.Equal(existing, content)
}

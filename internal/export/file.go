package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gistmill/gistmill/internal/marker"
)

// File modes before the umask, which decides who may read summaries.
const (
	fileMode   = 0o666
	folderMode = 0o777
)

// File writes a file atomically and lists it in the marker of its folder: the content that write
// produces appears at path only after write succeeds, and an existing file stays until then. If
// path is not a regular file (a pipe, /dev/stdout), File writes to it directly. It creates missing
// folders. It replaces the target of a symbolic link and keeps the link.
func File(ctx context.Context, path string, write func(io.Writer) error) error {
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
	return replace(root, name, true, func(w io.Writer) error {
		if err := write(w); err != nil {
			return err
		}
		// The file is complete and about to appear. In a folder of another user, such as /tmp, the
		// marker may be theirs.
		err := marker.Open(root).List(ctx, name)
		if errors.Is(err, fs.ErrPermission) {
			return nil
		}
		return err
	})
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
	temporary := filepath.Join(filepath.Dir(name), marker.TemporaryName())
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

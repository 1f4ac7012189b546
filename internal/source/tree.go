package source

import (
	"context"
	"io"
	"strconv"
	"time"
)

// item is one file of a tree.
type item struct {
	// name is what the tree opens. uri is escapeName of it, except for a source of one file.
	name, uri string
	size      int64
	modified  time.Time
	version   string
	problem   string
}

// tree is where the files of a source are: a local folder or a bucket.
//
// Its methods return ErrGone for a file that does not exist, and an *InputError for one that
// exists and cannot be read for a reason of its own.
type tree interface {
	// list yields the files in byte order of their names until yield returns false. Folders are
	// compared with a slash at their end. The number of names in memory is bounded.
	list(ctx context.Context, f *filter, yield func(item) bool) error
	// item looks up one file by its URI.
	item(ctx context.Context, uri string) (item, error)
	// open reads a file from its start. The returned item describes what is read.
	open(ctx context.Context, it item) (io.ReadCloser, item, error)
	// readRange reads length bytes at offset, or fewer if the file is shorter.
	readRange(ctx context.Context, it item, offset, length int64) ([]byte, error)
	close() error
}

// fileVersion is the version of a file of which only size and time are known.
func fileVersion(size int64, modified time.Time) string {
	b := strconv.AppendInt(make([]byte, 0, 24), size, 36)
	b = append(b, '-')
	return string(strconv.AppendInt(b, modified.UnixNano(), 36))
}

// atEnd reports whether a reader or a listing came to its regular end. A wrapped io.EOF is an
// error: a bucket returns it when a connection breaks off, and documents missing then would
// look deleted.
func atEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // errors.Is would accept a broken connection
}

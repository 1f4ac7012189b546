package source

import (
	"context"
	"io"
	"strconv"
	"time"
)

// item is one file of a tree.
type item struct {
	// name is what the tree opens; uri is escapeName of it, except for a source of one file.
	name, uri string
	size      int64
	modified  time.Time
	version   string
	problem   string
}

// tree is where the files of a source are: a local folder, or a bucket.
//
// Its methods give ErrGone for a file that is not there and *InputError for one that is there
// and cannot be read for a reason of its own.
type tree interface {
	// list yields the files in byte order of their names, folders compared with a slash at
	// their end, until yield says false. It holds no more than a bounded number of names.
	list(ctx context.Context, f *filter, yield func(item) bool) error
	// item looks up one file by its URI.
	item(ctx context.Context, uri string) (item, error)
	// open reads a file from its start; the item is that of what is read.
	open(ctx context.Context, it item) (io.ReadCloser, item, error)
	// readRange reads length bytes at offset. Fewer come back where the file is shorter.
	readRange(ctx context.Context, it item, offset, length int64) ([]byte, error)
	close() error
}

// fileVersion is the version of a file of which only size and time are known.
func fileVersion(size int64, modified time.Time) string {
	b := strconv.AppendInt(make([]byte, 0, 24), size, 36)
	b = append(b, '-')
	return string(strconv.AppendInt(b, modified.UnixNano(), 36))
}

// atEnd says that a reader, a listing or a walk over parts came to its regular end. A wrapped
// io.EOF is none: that is how a connection that breaks off shows in a bucket's errors, and
// what is missing then would be taken for deleted.
func atEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // errors.Is would take a broken connection for the end
}

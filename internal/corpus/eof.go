package corpus

import "io"

// atEnd says that a reader, a listing or a walk over parts came to its regular end. A wrapped
// io.EOF is none: that is how a connection that breaks off shows in a bucket's errors, and
// what is missing then would be taken for deleted.
func atEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // errors.Is would take a broken connection for the end
}

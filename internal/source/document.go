package source

import (
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// DefaultMaxBytes is the maximum size of a document unless [Options].MaxBytes sets another.
const DefaultMaxBytes int64 = 64 << 20

var (
	// ErrGone means that a document that was listed is no longer in its source.
	ErrGone = errors.New("gone from the source")
	// ErrNoSource means that there is no source at an address. The text of an error that matches
	// it tells the user what to check.
	ErrNoSource = errors.New("no such source")
)

// InputError means that a document cannot be read and that the document is the reason. Reading
// it again gives the same error until it changes.
type InputError struct {
	// Reason names the problem in plain words. It contains no text of the document.
	Reason string
}

func (e *InputError) Error() string { return e.Reason }

// TooLarge returns the error for a document of size bytes that exceeds limit bytes.
func TooLarge(size, limit int64) *InputError {
	return &InputError{Reason: fmt.Sprintf("too large: %s, the limit is %s (--max-document-bytes)",
		humanize.Bytes(uint64(size)), humanize.IBytes(uint64(limit)))}
}

// Ref identifies a document and its place when it was listed.
type Ref struct {
	// URI is relative to the root of the source, slash separated, and valid UTF-8 without control
	// characters: "sub/a.pdf", or "data.jsonl#id7" for a line. Other bytes of a name are written
	// as %XX.
	URI string
	// Locator is empty for a whole file. For a line it is an opaque string of about 20 bytes.
	Locator string
	// Version is an opaque string of about 20 bytes that changes when the content may have
	// changed.
	Version string
}

// Entry is one document of a listing.
type Entry struct {
	Ref
	// Size is that of the file or line in bytes.
	Size int64
	// Modified is when the file, or the file of the line, last changed, or what a line has in
	// [Options].TimeField. Zero means unknown.
	Modified time.Time
	// Problem says why the document cannot be read; empty if it can. Version depends on the
	// problem too, so that a document counts as changed once its problem is gone.
	Problem string
}

// Raw is a document as it was read.
type Raw struct {
	// Name is the URI of the document. Its extension decides where the content leaves the type
	// open.
	Name string
	// Data holds the bytes of the file, or the decoded text value of a line. It must not be
	// modified.
	Data []byte
	// SHA256 is the hex digest of Data.
	SHA256 string
	// Version and Locator are those found when reading. They differ from those of the [Ref] if the
	// document has changed or moved since it was listed.
	Version, Locator string
	// Fields are the other fields of a line as a JSON object, in their order and at most 16 KiB;
	// nil without any. FieldsTooLarge is the size in bytes of larger ones, which are left out.
	Fields         []byte
	FieldsTooLarge int64
	// PlainText means that Data is text by its origin, a line of a JSONL file. Its type is not
	// detected.
	PlainText bool
}

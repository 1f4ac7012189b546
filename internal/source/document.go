package source

import (
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// DefaultMaxBytes is the largest document that is read unless Options or Limits say otherwise.
const DefaultMaxBytes int64 = 64 << 20

var (
	// ErrGone says that a document that was listed is not in its source any more.
	ErrGone = errors.New("gone from the source")
	// ErrNoSource says that there is nothing at the address of a source. The text of an error
	// that matches it tells the user what to look at.
	ErrNoSource = errors.New("no such source")
)

// InputError says that a document cannot be read and that the document itself is the reason:
// reading it again without changing it gives the same error.
type InputError struct {
	// Reason names the problem in plain words, without text of the document.
	Reason string
}

func (e *InputError) Error() string { return e.Reason }

// TooLarge is the error for a document of size bytes where limit bytes are allowed.
func TooLarge(size, limit int64) *InputError {
	return &InputError{Reason: fmt.Sprintf("too large: %s, the limit is %s (--max-document-bytes)",
		humanize.Bytes(uint64(size)), humanize.IBytes(uint64(limit)))}
}

// Ref says which document is meant and where its bytes were when it was listed.
type Ref struct {
	// URI is relative to the root of the source, slash separated, valid UTF-8 without control
	// characters: "sub/a.pdf", or "data.jsonl#id7" for a line. Bytes of a name that are not are
	// written as %XX, see escapeName.
	URI string
	// Locator is empty for a whole file; for a line it is an opaque string of some 20 bytes.
	Locator string
	// Version is an opaque string of some 20 bytes that differs when the content may.
	Version string
}

// Entry is one document of a listing.
type Entry struct {
	Ref
	// Size is in bytes; for a line, of the line.
	Size int64
	// Modified is the time of the file's last change; for a line, that of its file. Zero when unknown.
	Modified time.Time
	// Problem, when not empty, says why this document cannot be read. Its Version then also
	// depends on the problem, so that a document whose problem is mended counts as changed.
	Problem string
}

// Raw is a document as it was read.
type Raw struct {
	// Name is the document's URI. Its extension is used where the content leaves the type open.
	Name string
	// Data holds the bytes of the file, or the decoded text value of a line. It must not be changed.
	Data []byte
	// SHA256 is the hex digest of Data.
	SHA256 string
	// Version and Locator are those found when reading; they differ from the Ref's when the
	// document has changed or moved since.
	Version, Locator string
	// PlainText says that Data is text by its origin (a line of a JSONL file): no type is guessed.
	PlainText bool
}

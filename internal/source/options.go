package source

import (
	"cmp"
	"io"
	"time"
)

// Options say how a source is opened and which of its documents are listed.
type Options struct {
	// Include and Exclude are doublestar globs on the URI. A document is listed if it matches an
	// Include, or there is none, and no Exclude. A pattern without a slash is also matched against
	// the last element of the path. For a line both its URI and that of its file are tried.
	Include, Exclude []string
	// Files, if not empty, are the URIs of the only files that are listed. A file that is not there
	// is not listed. The source must be a folder.
	Files []string
	// Since and Until bound [Entry].Modified: Since <= Modified < Until. A zero time is no bound, and
	// an unknown time is within all bounds.
	Since, Until time.Time
	// Limit ends a listing after this number of entries; 0 is no limit.
	Limit int
	// Hidden also lists names that begin with a dot.
	Hidden bool
	// Skip holds absolute local paths of files and folders that are never listed.
	Skip []string
	// IDField and TextField are the keys of a JSONL line. Empty means those in the source's URL,
	// else "id" and "text".
	IDField, TextField string
	// TimeField, if not empty, is the key of a line's time, which is its [Entry].Modified instead of
	// that of its file. It is not part of the source's identity.
	TimeField string
	// MaxBytes is the maximum size of a document (file or line); 0 means [DefaultMaxBytes].
	MaxBytes int64
	// Stdin is read for "-".
	Stdin io.Reader
	// Spool is the folder that keeps the content of Stdin, under a name made from that content, so
	// that other processes can read it later. If Spool is empty, a temporary folder is used, which
	// [Source.Close] removes.
	Spool string
}

func (o Options) maxBytes() int64 { return cmp.Or(o.MaxBytes, DefaultMaxBytes) }

package source

import (
	"cmp"
	"io"
	"time"
)

// Options say how a source is opened and which of its documents are listed.
type Options struct {
	// Include and Exclude are doublestar globs on the URI: a document is listed when it matches
	// an Include (or there is none) and no Exclude. A pattern without a slash is also tried on
	// the last element of the path, and for a line the file's name is tried besides the line's URI.
	Include, Exclude []string
	// Since and Until bound Entry.Modified: Since <= Modified < Until. Zero is open.
	Since, Until time.Time
	// Limit ends a listing after so many entries; 0 lists all.
	Limit int
	// Hidden lists names that begin with a dot, too.
	Hidden bool
	// Skip holds absolute local paths (files or folders) that are never listed.
	Skip []string
	// IDField and TextField are the keys of a JSONL line; empty means "id" and "text", or what
	// the source's URL carries.
	IDField, TextField string
	// MaxBytes is the size of the largest document (file or line); 0 means DefaultMaxBytes.
	MaxBytes int64
	// Stdin is what "-" reads.
	Stdin io.Reader
	// Spool is the folder in which what came from Stdin is kept, under a name made from its
	// content, so that another process can read it after this one ended. When it is empty a
	// temporary folder is used, which Close removes.
	Spool string
}

func (o Options) maxBytes() int64 { return cmp.Or(o.MaxBytes, DefaultMaxBytes) }

package keys

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"

	"github.com/gistmill/gistmill/internal/certificates"
)

// maxKeyBytes bounds a key. Tokens of identity providers have some kilobytes.
const maxKeyBytes = 64 << 10

// File is a key in a file, such as one of a mounted Secret. It is read again when the file has
// changed, and when the endpoint has refused the key. While the file is missing or of no use, the
// last key stays. It is safe for concurrent use.
type File struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	stamp string
	key   string
	err   error // of the last reading
}

// NewFile returns the key of a file. It reads nothing yet.
func NewFile(path string, log *slog.Logger) *File { return &File{path: path, log: log} }

// Identity names the source. It is the same for all keys that the file ever holds.
func (f *File) Identity() string { return "file " + f.path }

// Key returns the key. The error is a *[ProblemError].
func (f *File) Key(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The stamp is taken before the reading, so that a change between the two is seen next time.
	if stamp := certificates.Stamp(f.path); stamp != f.stamp || f.key == "" {
		f.stamp = stamp
		f.read()
	}
	if f.key == "" {
		return "", f.err
	}
	return f.key, nil
}

// Refused reads the file again if the key that the endpoint refused is the current one. It reports
// whether there is another key to try.
func (f *File) Refused(_ context.Context, key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if key == f.key {
		f.read()
	}
	return key != f.key
}

// read replaces the key. The caller holds the lock.
func (f *File) read() {
	key, err := ReadFile(f.path)
	if err != nil {
		err = &ProblemError{"api-key-file " + f.path + " " + err.Error()}
		if f.key != "" && f.err == nil {
			f.log.Warn("the API key stays, because its file cannot be read", slog.String("reason", err.Error()))
		}
		f.err = err
		return
	}
	if f.key != "" && key != f.key {
		f.log.Info("the API key has changed", slog.String("file", f.path))
	}
	f.key, f.err = key, nil
}

// ReadFile reads a key from a file, without the white space around it. The error is a
// *[ProblemError], which says what is wrong with the file without naming it.
func ReadFile(path string) (string, error) {
	problem := func(what string) error { return &ProblemError{what} }
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", problem("does not exist: give the path of a file with the key")
	case err != nil:
		return "", problem("cannot be read: check its mode and owner")
	case len(content) > maxKeyBytes:
		return "", problem("is too large for a key: give a file with the key alone")
	}
	// Editors on Windows begin a file with a byte order mark.
	key := strings.TrimSpace(strings.TrimPrefix(string(content), "\ufeff"))
	if what := Check(key); what != "" {
		if key != "" {
			what = "holds a key that " + what
		}
		return "", problem(what)
	}
	return key, nil
}

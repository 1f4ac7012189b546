package source

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// openStdin writes standard input to a file and opens that. The file is a JSONL file if its
// first line that is not blank is a JSON object with the text field; else it is one document
// with the URI "stdin".
func openStdin(ctx context.Context, o Options) (*Source, error) {
	if o.Stdin == nil {
		return nil, fmt.Errorf("%w: there is no standard input to read", ErrNoSource)
	}
	folder, temporary := o.Spool, ""
	if folder == "" {
		var err error
		if folder, err = os.MkdirTemp("", "gistmill-stdin-*"); err != nil {
			return nil, fmt.Errorf("create a folder for standard input: %w", err)
		}
		temporary = folder
	}
	s, err := spoolStdin(ctx, o, folder)
	if err != nil {
		if temporary != "" {
			err = errors.Join(err, os.RemoveAll(temporary))
		}
		return nil, err
	}
	s.spool = temporary
	return s, nil
}

func spoolStdin(ctx context.Context, o Options, folder string) (*Source, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("create a folder for standard input: %w", err)
	}
	f, err := os.CreateTemp(folder, ".incoming-*")
	if err != nil {
		return nil, fmt.Errorf("store standard input: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails if the file was renamed, which is intended
	digest := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, digest), &untilDone{ctx: ctx, r: o.Stdin})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	name := "stdin"
	if err == nil && startsWithObject(f, o) {
		name = "stdin.jsonl"
	} else if err == nil {
		err = checkStdin(f, o)
	}
	if bad := (*FieldsError)(nil); errors.As(err, &bad) {
		_ = f.Close() // it is removed
		return nil, bad
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("store standard input: %w", err)
	}
	// Equal input gives the same source, so that its run can be continued.
	place := filepath.Join(folder, hex.EncodeToString(digest.Sum(nil))[:24])
	if err := os.MkdirAll(place, 0o700); err != nil {
		return nil, fmt.Errorf("store standard input: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(place, name))
	if err != nil {
		return nil, fmt.Errorf("store standard input: %w", err)
	}
	if _, err := os.Stat(path); err != nil {
		if err := os.Rename(f.Name(), path); err != nil {
			return nil, fmt.Errorf("store standard input: %w", err)
		}
	}
	return open(ctx, address{scheme: "file", path: path}, o)
}

// checkStdin returns a [*FieldsError] if the input has a JSON object in each line and none has the
// text field. As one document it would hold them all.
func checkStdin(f io.ReadSeeker, o Options) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	fields := lineFields{id: o.IDField, text: o.TextField}.withDefaults()
	sample := sampleLines(f, fields, o.maxBytes(), false)
	if sample.objects < 2 || sample.objects < sample.lines {
		return nil
	}
	if bad := sample.problem("standard input", fields, ""); bad != nil {
		return bad
	}
	return nil
}

// startsWithObject reports whether the first line that is not blank is a JSON object with the
// text field.
func startsWithObject(r io.Reader, o Options) bool {
	scan := newLineReader(bufio.NewReader(r), o.maxBytes())
	for {
		ln, err := scan.next()
		if err != nil || ln.long {
			return false
		}
		if blank(ln.data) {
			continue
		}
		return lineFields{id: o.IDField, text: o.TextField}.withDefaults().hasText(ln.data)
	}
}

// untilDone fails with the error of ctx once that is done. It does not interrupt a read in
// progress.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

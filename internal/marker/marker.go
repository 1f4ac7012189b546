// Package marker keeps `.gistmill-output`, the file in an output folder that lists the files that
// gistmill wrote there.
//
// It owns the format of that file, its lock, and how a page is recognized in a folder that has no
// marker yet. It refuses to own what is written (internal/export) and what a listing does with a
// listed file (internal/source).
//
// A marker is a file of JSON lines that grows at its end. A file's line is written before the file
// itself, so a process that is killed leaves no file that is not listed. A lock (flock) orders the
// processes of one machine. On a network file system whose locks hold for one machine only, two
// machines must not write into one folder at once.
package marker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

const (
	// Name is the marker's file name.
	Name = ".gistmill-output"
	// LinesName is the file of JSON lines in the output folder of a run.
	LinesName = "summaries.jsonl"
)

const about = "gistmill wrote the files listed here: it never reads them as documents, and replaces or removes no others"

// IsPrivate reports whether a file or folder of this name holds gistmill's own data and is never a
// document: the ledger's folder, a marker, or a temporary file.
func IsPrivate(base string) bool {
	return base == ".gistmill" || base == Name || strings.HasPrefix(base, ".gistmill-") && strings.HasSuffix(base, ".tmp")
}

// Line is one line of a marker. Either File, Removed or Source is set, except in the first line.
type Line struct {
	About string `json:"gistmill_output,omitempty"`
	// File is relative to the marker's folder, with slashes.
	File string `json:"file,omitempty"`
	// Digest is [Digest] of the file's content in hex; empty if the content does not matter.
	Digest string `json:"digest,omitempty"`
	// Removed is a file that gistmill has removed since it was listed.
	Removed string `json:"removed,omitempty"`
	// Source, Profile and Run name a source whose summaries the folder holds.
	Source  string `json:"source,omitempty"`
	Profile string `json:"profile,omitempty"`
	Run     string `json:"run,omitempty"`
}

// Digest returns the digest of a file's content. It tells an edited file from an unchanged one, and
// is no protection against forgery.
func Digest(content []byte) uint64 { return xxhash.Sum64(content) }

// UnknownDigest is the digest of a page whose content as gistmill wrote it is not known. What is
// there counts as edited.
const UnknownDigest = 0

// FileLine returns the line of a page.
func FileLine(name string, digest uint64) Line {
	return Line{File: name, Digest: fmt.Sprintf("%016x", digest)}
}

// Pair is a source (its URL) with a profile (its hash) and the run that summarized it. The run's
// name is random, so it tells apart the ledgers that write into one folder.
type Pair struct{ Source, Profile, Run string }

// Line returns the line that registers a pair.
func (p Pair) Line() Line { return Line{Source: p.Source, Profile: p.Profile, Run: p.Run} }

// file is what the index knows of a listed file.
type file struct {
	digest uint64
	listed bool
	// hasDigest is false for a file whose content does not matter.
	hasDigest bool
	// fresh marks a file that this process wrote; current marks one that belongs to the present
	// content.
	fresh, current bool
}

// index is the content of a marker in memory: about 50 bytes for each file.
type index struct {
	files map[uint64]file
	older map[uint64][]uint64 // further digests of a name, from before its last line
	pairs []Pair              // the one registered last comes last
	info  fs.FileInfo         // of the marker as it was read; nil before
	read  int64               // bytes
	lines int
	// begun is false if the first line is missing: the marker is empty or damaged.
	begun bool
}

func newIndex() index { return index{files: map[uint64]file{}, older: map[uint64][]uint64{}} }

// key identifies a name in this process. Two names share one by chance only (2^-64).
func key(name string) uint64 { return maphash.String(seed, name) }

// seed differs in each process, so that no name can be made to collide with another.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // made once, never changed

// refresh reads what was appended to the marker f since it was read, or all of one that was
// replaced or has become smaller.
func (x *index) refresh(f *os.File) error {
	now, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", Name, err)
	}
	if !now.Mode().IsRegular() {
		return fmt.Errorf("read %s: it is not a file", Name)
	}
	if x.info == nil || !os.SameFile(x.info, now) || now.Size() < x.read {
		*x = newIndex()
	}
	x.info = now
	if now.Size() == x.read {
		return nil
	}
	return x.add(io.NewSectionReader(f, x.read, now.Size()-x.read))
}

// add applies the complete lines of r, which begins at the index's end.
func (x *index) add(r io.Reader) error {
	return eachLine(r, func(raw []byte, l Line) error {
		x.read += int64(len(raw))
		x.lines++
		x.apply(l)
		return nil
	})
}

func (x *index) apply(l Line) {
	switch {
	case l.About != "":
		x.begun = true
	case l.File != "":
		k := key(l.File)
		old := x.files[k]
		now := file{listed: true}
		if d, err := strconv.ParseUint(l.Digest, 16, 64); err == nil {
			now.digest, now.hasDigest = d, true
		}
		if old.listed && old.hasDigest && (!now.hasDigest || old.digest != now.digest) {
			x.older[k] = append(x.older[k], old.digest)
		}
		now.current = old.current
		x.files[k] = now
	case l.Removed != "":
		delete(x.files, key(l.Removed))
		delete(x.older, key(l.Removed))
	case l.Source != "":
		p := Pair{l.Source, l.Profile, l.Run}
		x.pairs = append(slices.DeleteFunc(x.pairs, func(q Pair) bool { return p == q }), p)
	}
}

// eachLine calls each with the complete lines of r. Lines that are not a marker's are passed as
// empty ones.
func eachLine(r io.Reader, each func(raw []byte, l Line) error) error {
	b := bufio.NewReaderSize(r, 256<<10)
	for {
		raw, err := readLine(b)
		if errors.Is(err, io.EOF) {
			return nil // a line without an end is still being written, or was never finished
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", Name, err)
		}
		if err := each(raw, parse(raw)); err != nil {
			return err
		}
	}
}

// readLine returns the next line with its end.
func readLine(b *bufio.Reader) ([]byte, error) {
	raw, err := b.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return raw, err
	}
	whole := bytes.Clone(raw)
	rest, err := b.ReadBytes('\n')
	return append(whole, rest...), err
}

// parse reads a line. Most lines have the form that encoding/json gives [FileLine], and are taken
// apart directly: a marker may have a million of them.
func parse(raw []byte) Line {
	if rest, ok := bytes.CutPrefix(raw, []byte(`{"file":"`)); ok {
		name, rest, _ := bytes.Cut(rest, []byte(`"`))
		digest, ok := bytes.CutPrefix(rest, []byte(`,"digest":"`))
		if ok && bytes.IndexByte(name, '\\') < 0 && len(digest) == len("0123456789abcdef\"}\n") && string(digest[16:]) == "\"}\n" {
			return Line{File: string(name), Digest: string(digest[:16])}
		}
	}
	var l Line
	if json.Unmarshal(raw, &l) != nil {
		return Line{}
	}
	return l
}

// encoder returns an encoder that writes each [Line] as JSON with a line end.
func encoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// sameFile reports whether f is still the file at the marker's place.
func sameFile(root *os.Root, f *os.File) (bool, error) {
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := root.Lstat(Name)
	if err != nil {
		return false, nil //nolint:nilerr // it is gone, so f is not at its place
	}
	return os.SameFile(opened, now), nil
}

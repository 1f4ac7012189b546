// Package source lists the documents of a source and fetches their bytes. A source is a local
// folder or file, a JSONL file, a bucket or standard input.
//
// It owns the order of a listing, the identity of a document (its URI), the way back to its
// bytes (its locator), and the sign that it may have changed (its version).
//
// It refuses to own formats (internal/extract), what an earlier run has seen (internal/ledger),
// and what becomes of a document that cannot be read (worker). It writes no log.
package source

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/dustin/go-humanize"

	"github.com/gistmill/gistmill/internal/text"
)

const (
	defaultIDField   = "id"
	defaultTextField = "text"
)

// Source is an opened source. Its methods may be used from several goroutines at once.
type Source struct {
	url    string
	tree   tree
	fields lineFields
	// timeField is [Options].TimeField.
	timeField string
	filter    filter
	limit     int
	max       int64
	indexes   *indexCache
	// maxPacked and maxUnpacked are the constants of these names, or less in tests.
	maxPacked, maxUnpacked int64
	unpacked               *unpackedFiles
	// spool is a temporary folder, which Close removes; empty if there is none.
	spool string

	mu   sync.Mutex
	left LeftOut // of the last listing that ended
	// unknown counts the times of that listing.
	unknown UnknownTimes
}

// Open opens a folder, a file, a JSONL file (.jsonl or .ndjson), a URL with the scheme s3, gs,
// azblob or file, or, for "-", [Options].Stdin. An error that matches [ErrNoSource] means that
// there is no source at raw; its text tells the user what to check.
func Open(ctx context.Context, raw string, o Options) (*Source, error) {
	if raw == "-" {
		return openStdin(ctx, o)
	}
	l, err := parseAddress(raw)
	if err != nil {
		return nil, err
	}
	return open(ctx, l, o)
}

func open(ctx context.Context, l address, o Options) (*Source, error) {
	f, err := newFilter(o)
	if err != nil {
		return nil, err
	}
	var t tree
	if l.scheme == "file" {
		local, err := openLocal(l.path, o.Skip)
		if err != nil {
			return nil, err
		}
		if local.single != "" {
			f.only = map[string]struct{}{local.single: {}}
		}
		t = local
	} else {
		var b *bucketTree
		if b, l, err = openBucket(ctx, l); err != nil {
			return nil, err
		}
		t = b
	}
	if len(o.Files) > 0 {
		err = f.restrict(t, o.Files)
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return newSource(t, l, f, o), nil
}

// restrict restricts a listing of a tree to files.
func (f *filter) restrict(t tree, uris []string) error {
	names := fileSet(uris)
	if f.only != nil {
		return fmt.Errorf("%w: files can only be named in a folder", ErrNoSource)
	}
	f.only = make(map[string]struct{}, len(names))
	for _, n := range names {
		f.only[escapeName(n)] = struct{}{}
	}
	switch t := t.(type) {
	case *localTree:
		for _, n := range names {
			if n = filepath.FromSlash(n); !filepath.IsLocal(n) || filepath.Clean(n) != n {
				return fmt.Errorf("%w: %q is not the name of a file in the folder", ErrNoSource, n)
			}
		}
		t.files = names
	case *bucketTree:
		t.files = names
	}
	return nil
}

func newSource(t tree, l address, f filter, o Options) *Source {
	if b, ok := t.(*bucketTree); ok && b.single != "" {
		f.only = map[string]struct{}{escapeName(b.single[len(b.prefix):]): {}}
	}
	s := &Source{tree: t, filter: f, limit: o.Limit, max: o.maxBytes(), indexes: &indexCache{}, maxPacked: maxPacked, maxUnpacked: maxUnpacked, unpacked: newUnpackedFiles()}
	s.timeField = o.TimeField
	s.fields.id = cmp.Or(o.IDField, l.fields.id, defaultIDField)
	s.fields.text = cmp.Or(o.TextField, l.fields.text, defaultTextField)
	s.url = l.url(s.fields)
	return s
}

// URL returns the identity of the source: an absolute, cleaned address, with the fields of its
// lines if they differ from the defaults. [Open] with this URL returns a source that fetches
// the same documents.
func (s *Source) URL() string { return s.url }

// Close releases what the source holds. After Close no other method may be called.
func (s *Source) Close() error {
	s.unpacked.close()
	err := s.tree.close()
	if s.spool != "" {
		err = errors.Join(err, os.RemoveAll(s.spool))
	}
	return err
}

// Matches reports whether the filters admit a document that an earlier listing had. Only then
// does its absence from a complete listing mean that it is gone. With a bound on the time it
// admits no line, because the line's time may have been different. Matches ignores
// [Options].Limit: a limited listing shows nothing about the documents that it leaves out.
func (s *Source) Matches(uri string, modified time.Time) bool {
	if t, ok := s.tree.(*localTree); ok && t.skippedBelow(text.UnescapeName(fileOf(uri))) {
		return false
	}
	// The time that the ledger has of a line is that of its file or, with TimeField, its own.
	if fileOf(uri) != uri && (!s.filter.since.IsZero() || !s.filter.until.IsZero()) {
		return false
	}
	return s.filter.matches(uri, modified)
}

// Entries lists the documents in a stable order: files by name, lines by their position. Memory
// does not grow with their number. A document that cannot be read is an [Entry] with a Problem.
// An error ends the listing, which is then incomplete. If several lines have the same id, all
// of them are listed.
func (s *Source) Entries(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		var leftOut LeftOut
		var unknown UnknownTimes
		filters := s.filter
		filters.left = &leftOut
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.left, s.unknown = leftOut, unknown
		}()
		left := s.limit
		stopped := false
		emit := func(e Entry) bool {
			if !yield(e, nil) {
				stopped = true
				return false
			}
			left--
			if s.limit > 0 && left == 0 {
				stopped = true
				return false
			}
			return true
		}
		var failed error
		err := s.tree.list(ctx, &filters, func(it item) bool {
			if !filters.admits(it.uri, s.fileTime(it)) {
				return true
			}
			switch {
			case it.problem != "":
				// A folder that cannot be listed may hold any document, so Include does not hide it.
				if it.version[0] != '!' && !filters.includes(it.uri) {
					return true
				}
				return emit(it.entry())
			case holdsLines(it.name):
				failed = s.lines(ctx, it, &filters, &unknown, emit)
				return failed == nil && !stopped
			case !filters.includes(it.uri):
				return true
			case it.size > s.max:
				return emit(withProblem(it, TooLarge(it.size, s.max).Reason).entry())
			}
			return emit(it.entry())
		})
		if err = cmp.Or(failed, err); err != nil && !stopped {
			yield(Entry{}, err)
		}
	}
}

// fileTime is the time of a file for the filters. With TimeField it is unknown for a file of lines:
// each line has its own.
func (s *Source) fileTime(it item) time.Time {
	if s.timeField != "" && holdsLines(it.name) {
		return time.Time{}
	}
	return it.modified
}

// UnknownTimes returns how many lines of the last listing had no time.
func (s *Source) UnknownTimes() UnknownTimes {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unknown
}

// LeftOut returns what the last listing left out.
func (s *Source) LeftOut() LeftOut {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

func (it item) entry() Entry {
	return Entry{Ref: Ref{URI: it.uri, Version: it.version}, Size: it.size, Modified: it.modified, Problem: it.problem}
}

// lines lists the documents of a JSONL file.
func (s *Source) lines(ctx context.Context, it item, filters *filter, unknown *UnknownTimes, emit func(Entry) bool) error {
	r, now, err := s.openLines(ctx, it)
	if err != nil {
		if bad := (*InputError)(nil); errors.As(err, &bad) {
			if filters.includes(it.uri) {
				emit(withProblem(it, bad.Reason).entry())
			}
			return nil
		}
		if errors.Is(err, ErrGone) {
			return nil
		}
		return fmt.Errorf("list lines of %s: %w", it.uri, err)
	}
	defer func() { _ = r.Close() }()
	it = now
	scan := newLineReader(r, s.max)
	// Without globs every line of the file is listed, and none has to be matched.
	fixed := len(filters.include) == 0 && len(filters.exclude) == 0 && s.timeField == ""
	var rawTime []byte
	var each func(key, value []byte)
	if s.timeField != "" {
		each = func(key, value []byte) {
			if keyIs(key, s.timeField) {
				rawTime = value
			}
		}
	}
	var made []byte
	var last int64
	for {
		ln, err := scan.next()
		if atEnd(err) {
			return nil
		}
		if bad := (*InputError)(nil); errors.As(err, &bad) { // its lines up to here are listed
			if filters.includes(it.uri) {
				emit(withProblem(it, fmt.Sprintf("%s, after line %d", bad.Reason, last)).entry())
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("list lines of %s: %w", it.uri, cause(err))
		}
		last = ln.number
		if ln.number&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !ln.long && blank(ln.data) {
			continue
		}
		var problem string
		modified := it.modified
		rawTime = nil
		made = append(append(made[:0], it.uri...), '#')
		if id, err := s.lineID(ln, each); err == nil {
			made = appendEscaped(made, id)
		} else {
			problem = err.Error()
			made = strconv.AppendInt(append(made, 'L'), ln.number, 10)
		}
		// URI, locator and version share one allocation.
		uriEnd := len(made)
		made = locator{offset: ln.offset, length: ln.length, file: len(it.uri)}.append(made)
		locatorEnd := len(made)
		made = appendLineVersion(made, ln.hash)
		if problem != "" {
			made = strconv.AppendUint(append(made, '!'), xxhash.Sum64String(problem), 36)
		}
		all := string(made)
		uri := all[:uriEnd]
		if s.timeField != "" {
			modified = unknown.timeOf(rawTime)
		}
		if !fixed && (!filters.includes(uri) || !filters.admits(uri, modified)) {
			continue
		}
		e := Entry{Ref: Ref{URI: uri, Locator: all[uriEnd:locatorEnd], Version: all[locatorEnd:]},
			Size: ln.length, Modified: modified, Problem: problem}
		if !emit(e) {
			return nil
		}
	}
}

// lineID returns the id of a line, or an error if the line is not a document.
func (s *Source) lineID(ln line, each func(key, value []byte)) ([]byte, error) {
	if ln.long {
		return nil, &lineError{TooLarge(ln.length, s.max).Reason}
	}
	id, _, err := s.fields.find(ln.data, each)
	return id, err
}

func appendEscaped(b, id []byte) []byte {
	for _, c := range id {
		if c < 0x20 || c >= 0x7f || c == '%' {
			return append(b, escapeName(string(id))...)
		}
	}
	return append(b, id...)
}

func appendLineVersion(b []byte, hash uint64) []byte { return strconv.AppendUint(b, hash, 36) }

func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// Fetch reads one document. The error matches [ErrGone] if the document no longer exists. It is
// an [*InputError] if the document exists and cannot be read, for example because it has more
// than [Options].MaxBytes. If a JSONL file has changed and the line has moved, Fetch indexes
// the file once and finds the line by its id.
func (s *Source) Fetch(ctx context.Context, ref Ref) (*Raw, error) {
	raw, err := s.fetch(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", ref.URI, err)
	}
	return raw, nil
}

// Size returns how many bytes [Source.Fetch] will hold for a document, at most
// [Options].MaxBytes. For a line of a JSONL file these are the line and its decoded text.
func (s *Source) Size(ctx context.Context, ref Ref) (int64, error) {
	if ref.Locator != "" {
		l, err := parseLocator(ref.Locator, ref.URI)
		return min(2*l.length, s.max), err
	}
	it, err := s.tree.item(ctx, ref.URI)
	return min(it.size, s.max), err
}

func (s *Source) fetch(ctx context.Context, ref Ref) (*Raw, error) {
	if ref.Locator != "" {
		return s.fetchLine(ctx, ref)
	}
	it, err := s.tree.item(ctx, ref.URI)
	if err != nil {
		return nil, err
	}
	// A file that changes while it is read is read again, up to three times in all.
	for attempt := 0; ; attempt++ {
		data, before, err := s.readFile(ctx, it)
		if err != nil {
			return nil, err
		}
		if attempt < 2 {
			after, err := s.tree.item(ctx, ref.URI)
			if err != nil {
				return nil, err
			}
			if after.version != before.version {
				continue
			}
		}
		sum := sha256.Sum256(data)
		return &Raw{Name: ref.URI, Data: data, SHA256: hex.EncodeToString(sum[:]), Version: before.version}, nil
	}
}

func (s *Source) readFile(ctx context.Context, it item) ([]byte, item, error) {
	r, now, err := s.tree.open(ctx, it)
	if err != nil {
		return nil, item{}, err
	}
	defer func() { _ = r.Close() }()
	if now.size > s.max {
		return nil, item{}, TooLarge(now.size, s.max)
	}
	data, err := readBounded(r, now.size, s.max)
	if err != nil {
		return nil, item{}, err
	}
	return data, now, nil
}

// readBounded reads to the end, at most max bytes. It needs a single buffer if the expected
// size is correct.
func readBounded(r io.Reader, size, max int64) ([]byte, error) {
	buf := make([]byte, 0, min(size, max)+1)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(int64(cap(buf)), max+1)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > max {
			return nil, &InputError{Reason: fmt.Sprintf("too large: more than %s (--max-document-bytes)", humanize.IBytes(uint64(max)))}
		}
		if atEnd(err) {
			return buf, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read: %w", cause(err))
		}
	}
}

func (s *Source) fetchLine(ctx context.Context, ref Ref) (*Raw, error) {
	l, err := parseLocator(ref.Locator, ref.URI)
	if err != nil {
		return nil, err
	}
	if l.length > s.max {
		return nil, TooLarge(l.length, s.max)
	}
	file := item{uri: ref.URI[:l.file]}
	file.name = text.UnescapeName(file.uri)
	if t, ok := s.tree.(*localTree); ok && t.single != "" {
		if file.name, err = t.nameOf(file.uri); err != nil {
			return nil, err
		}
	}
	data, err := s.readRange(ctx, file, l.offset, l.length)
	if err != nil {
		return nil, err
	}
	if int64(len(data)) == l.length {
		version := string(appendLineVersion(nil, xxhash.Sum64(data)))
		if isVersion(ref.Version, version) {
			id, text, err := s.fields.find(data, nil)
			if err != nil {
				return nil, &InputError{Reason: err.Error()}
			}
			if escapeName(string(id)) == ref.URI[l.file+1:] {
				return s.lineRaw(ref.URI, data, text, version, ref.Locator), nil
			}
		}
	}
	return s.relocate(ctx, file, ref.URI, l.file)
}

// isVersion compares the listed version of a line with its present one. The listed version of a
// broken line has the problem appended.
func isVersion(known, now string) bool {
	return len(known) >= len(now) && known[:len(now)] == now && (len(known) == len(now) || known[len(now)] == '!')
}

func (s *Source) lineRaw(uri string, line, text []byte, version, locator string) *Raw {
	data := append([]byte(nil), unquote(text)...)
	sum := sha256.Sum256(data)
	raw := &Raw{Name: uri, Data: data, SHA256: hex.EncodeToString(sum[:]), Version: version, Locator: locator, PlainText: true}
	raw.Fields, raw.FieldsTooLarge = s.fields.others(line)
	return raw
}

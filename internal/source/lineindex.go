package source

import (
	"context"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// indexBudget is how many bytes of indexes a source keeps: 4 million lines.
const indexBudget = 32 << 20

// lineIndex finds the lines of one version of a file by their ids. An entry is one word: the
// high bits of the id's hash, and below them the offset of the line. So ten million lines take
// 80 MB. Because hashes collide, the line at an offset must be read and its id compared.
type lineIndex struct {
	file, version string
	offsetBits    uint
	words         []uint64 // sorted
}

func (x *lineIndex) word(id string, offset int64) uint64 {
	return xxhash.Sum64String(id)>>x.offsetBits<<x.offsetBits | uint64(offset)
}

// offsets returns where lines with this id may begin, in ascending order.
func (x *lineIndex) offsets(id string) []int64 {
	low := x.word(id, 0)
	i, _ := slices.BinarySearch(x.words, low)
	var out []int64
	for ; i < len(x.words) && x.words[i]>>x.offsetBits == low>>x.offsetBits; i++ {
		out = append(out, int64(x.words[i]&(1<<x.offsetBits-1)))
	}
	return out
}

// indexCache holds the indexes of the files that have changed since they were listed. A caller
// that needs an index in the making waits for it.
type indexCache struct {
	mu      sync.Mutex
	indexes []*lineIndex // the most recently used last
}

// relocate finds the line of a document in a file that has changed since it was listed.
func (s *Source) relocate(ctx context.Context, file item, uri string, fileLen int) (*Raw, error) {
	id := uri[fileLen+1:]
	// Twice, because the file may change again between indexing and reading.
	for range 2 {
		index, err := s.index(ctx, file)
		if err != nil {
			return nil, err
		}
		changed := false
		for _, offset := range index.offsets(id) {
			ln, text, err := s.lineAt(ctx, file, offset, id)
			if err != nil {
				return nil, err
			}
			if text == nil {
				continue
			}
			now, err := s.tree.item(ctx, file.uri)
			if err != nil {
				return nil, err
			}
			if now.version != index.version {
				changed = true
				break
			}
			at := locator{offset: ln.offset, length: ln.length, file: fileLen}
			return s.lineRaw(uri, ln.data, text, string(appendLineVersion(nil, ln.hash)), at.String()), nil
		}
		if !changed {
			return nil, ErrGone
		}
	}
	return nil, fmt.Errorf("the file keeps changing while it is read")
}

// lineAt reads the line at an offset. The text is nil if it is not a document with this id.
func (s *Source) lineAt(ctx context.Context, file item, offset int64, id string) (line, []byte, error) {
	r := &rangeReader{read: func(at, n int64) ([]byte, error) { return s.readRange(ctx, file, at, n) }, offset: offset, chunk: 16 << 10}
	scan := newLineReader(r, s.max)
	ln, err := scan.next()
	if atEnd(err) {
		return line{}, nil, nil
	}
	if err != nil {
		return line{}, nil, err
	}
	ln.offset += offset
	if ln.long {
		return line{}, nil, nil
	}
	found, text, err := s.fields.find(ln.data, nil)
	if err != nil || escapeName(string(found)) != id {
		return line{}, nil, nil //nolint:nilerr // a line that is not a document is not the wanted one
	}
	return ln, text, nil
}

// rangeReader reads a file from an offset in pieces that double in size.
type rangeReader struct {
	read   func(offset, length int64) ([]byte, error)
	offset int64
	chunk  int64
	rest   []byte
}

func (r *rangeReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		b, err := r.read(r.offset, r.chunk)
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, io.EOF
		}
		r.rest = b
		r.offset += int64(len(b))
		r.chunk = min(2*r.chunk, 4<<20)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// index returns the index of a file as it is now, and makes it if necessary.
func (s *Source) index(ctx context.Context, file item) (*lineIndex, error) {
	s.indexes.mu.Lock()
	defer s.indexes.mu.Unlock()
	now, err := s.tree.item(ctx, file.uri)
	if err != nil {
		return nil, err
	}
	kept := s.indexes.indexes
	for i, x := range kept {
		if x.file == file.uri && x.version == now.version {
			s.indexes.indexes = append(slices.Delete(kept, i, i+1), x)
			return x, nil
		}
	}
	x, err := s.makeIndex(ctx, now)
	if err != nil {
		return nil, err
	}
	kept = slices.DeleteFunc(kept, func(old *lineIndex) bool { return old.file == x.file })
	kept = append(kept, x)
	for {
		total := 0
		for _, k := range kept {
			total += 8 * len(k.words)
		}
		if len(kept) == 1 || total <= indexBudget {
			break
		}
		kept = slices.Delete(kept, 0, 1)
	}
	s.indexes.indexes = kept
	return x, nil
}

func (s *Source) makeIndex(ctx context.Context, file item) (*lineIndex, error) {
	var r io.Reader
	now := file
	if isPacked(file.name) {
		u, err := s.acquire(ctx, file.uri)
		if err != nil {
			return nil, err
		}
		defer s.unpacked.release(u)
		r, now.version, now.size = u.reader(), u.version, u.size
	} else {
		opened, it, err := s.tree.open(ctx, file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }()
		r, now = opened, it
	}
	// One bit more than the size needs, because the file may grow while it is read.
	x := &lineIndex{file: now.uri, version: now.version, offsetBits: uint(bits.Len64(uint64(now.size))) + 1}
	scan := newLineReader(r, s.max)
	for {
		ln, err := scan.next()
		if atEnd(err) || ln.offset>>x.offsetBits > 0 {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("index lines: %w", cause(err))
		}
		if ln.number&1023 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if ln.long {
			continue
		}
		if id, _, err := s.fields.find(ln.data, nil); err == nil {
			x.words = append(x.words, x.word(escapeName(string(id)), ln.offset))
		}
	}
	slices.Sort(x.words)
	return x, nil
}

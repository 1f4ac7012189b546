package source

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/klauspost/compress/zstd"
)

const (
	// maxPacked is the size of the largest compressed file. The temporary files of a source together
	// may take as much: the chart's /tmp has 1 GiB.
	maxPacked = 512 << 20
	// maxUnpacked is how many bytes of a compressed file are read.
	maxUnpacked = 8 << 30
	// Beyond ratioFrom bytes, a file that unpacks to more than maxRatio times its size is a bomb.
	// gzip reaches 1032 for zeros (https://zlib.net/zlib_tech.html), JSON lines about 20.
	ratioFrom, maxRatio = 64 << 20, 500
	// maxWindow bounds the memory for a Zstandard file (RFC 8878, 3.1.1.1.2 recommends 8 MiB).
	maxWindow = 128 << 20
)

// isPacked reports whether a file of lines is compressed, by its name.
func isPacked(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".gz", ".zst":
		return true
	}
	return false
}

// openLines opens a file of lines from its start, and unpacks it if it is compressed. What is
// wrong with the compressed data itself is an [*InputError], perhaps after some lines.
func (s *Source) openLines(ctx context.Context, it item) (io.ReadCloser, item, error) {
	r, now, err := s.tree.open(ctx, it)
	if err != nil || !isPacked(it.name) {
		return r, now, err
	}
	var u *unpacker
	if now.size > s.maxPacked {
		err = &InputError{Reason: fmt.Sprintf("too large: %s, the limit for a compressed file is %s: divide it",
			humanize.IBytes(uint64(now.size)), humanize.IBytes(uint64(s.maxPacked)))}
	} else {
		u, err = unpack(r, now, s.maxUnpacked)
	}
	if err != nil {
		_ = r.Close()
		return nil, item{}, err
	}
	return u, now, nil
}

// unpacker reads a compressed file.
type unpacker struct {
	packed  *countedReader
	source  io.Closer
	format  string
	data    io.Reader
	close   func()
	size    int64 // of the packed file
	max     int64
	written int64
}

func unpack(r io.ReadCloser, it item, limit int64) (*unpacker, error) {
	u := &unpacker{packed: &countedReader{r: r}, source: r, format: "gzip", size: it.size, max: limit, close: func() {}}
	start := bufio.NewReaderSize(u.packed, 64<<10)
	magic, _ := start.Peek(4)
	switch {
	case len(magic) > 0 && magic[0] == '{': // the bucket has unpacked it: decompressive transcoding
		u.data, u.format = start, ""
	case strings.EqualFold(path.Ext(it.name), ".zst"):
		u.format = "Zstandard"
		z, err := zstd.NewReader(start, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxUnpacked))
		if err != nil {
			return nil, u.problem(err)
		}
		u.data, u.close = z, z.Close
	default:
		z, err := gzip.NewReader(start)
		if err != nil {
			return nil, u.problem(err)
		}
		u.data = z
	}
	return u, nil
}

// Read implements [io.Reader].
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.data.Read(p[:min(int64(len(p)), u.max-u.written+1)])
	u.written += int64(n)
	switch {
	case u.written > u.max:
		return n, &InputError{Reason: fmt.Sprintf("it unpacks to more than %s: unpack or divide it", humanize.IBytes(uint64(u.max)))}
	case u.written > ratioFrom && u.written/maxRatio > u.size:
		return n, &InputError{Reason: fmt.Sprintf("it unpacks to more than %d times its size", maxRatio)}
	case err == nil || atEnd(err):
		return n, err
	}
	return n, u.problem(err)
}

// problem tells the compressed data's errors from those of reading it. A connection that breaks
// off and a file that was cut look alike, except for the size.
func (u *unpacker) problem(err error) error {
	switch {
	case u.packed.err != nil:
		return u.packed.err
	case errors.Is(err, io.ErrUnexpectedEOF) || atEnd(err):
		if u.packed.n < u.size {
			return fmt.Errorf("read: %w", io.ErrUnexpectedEOF)
		}
		return &InputError{Reason: "its " + u.format + " data ends too early"}
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return &InputError{Reason: "it needs too much memory to unpack"}
	}
	return &InputError{Reason: "its " + u.format + " data is damaged"}
}

// Close implements [io.Closer].
func (u *unpacker) Close() error {
	u.close()
	return u.source.Close()
}

// countedReader counts what it reads, and keeps an error other than the end.
type countedReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !atEnd(err) {
		c.err = err
	}
	return n, err
}

// unpacked is one version of a compressed file. Its lines are read by their offset, which the file
// itself does not allow: a temporary file without a name has them in blocks that are compressed
// separately. So it takes about as much space as the file.
type unpacked struct {
	uri, version string
	f            *os.File
	blocks       []int64 // where each begins in f, and the end of the last
	size         int64   // of the unpacked data
	z            *zstd.Decoder
	users        int
	dropped      bool // close it after its last user
}

// blockBytes is how much data a block has. Reading a line unpacks one or two of them, in less than
// a millisecond.
const blockBytes = 256 << 10

// onDisk is the size of the temporary file.
func (u *unpacked) onDisk() int64 { return u.blocks[len(u.blocks)-1] }

// fill reads all data.
func (u *unpacked) fill(r io.Reader) error {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }() // it writes nothing
	data, packed := make([]byte, blockBytes), []byte(nil)
	u.blocks = []int64{0}
	for {
		n, err := 0, error(nil)
		for n < len(data) && err == nil {
			var more int
			more, err = r.Read(data[n:])
			n += more
		}
		if n > 0 {
			packed = z.EncodeAll(data[:n], packed[:0])
			if _, err := u.f.Write(packed); err != nil {
				return fmt.Errorf("write a temporary file: %w", cause(err))
			}
			u.size += int64(n)
			u.blocks = append(u.blocks, u.onDisk()+int64(len(packed)))
		}
		if atEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readAt returns length bytes at an offset, or fewer at the end.
func (u *unpacked) readAt(offset, length int64) ([]byte, error) {
	length = min(length, u.size-offset)
	if length <= 0 {
		return nil, nil
	}
	out := make([]byte, 0, length)
	var packed, data []byte
	for at := offset; at < offset+length; at = (at/blockBytes + 1) * blockBytes {
		i := at / blockBytes
		packed = slices.Grow(packed[:0], int(u.blocks[i+1]-u.blocks[i]))[:u.blocks[i+1]-u.blocks[i]]
		if _, err := u.f.ReadAt(packed, u.blocks[i]); err != nil {
			return nil, fmt.Errorf("read a temporary file: %w", cause(err))
		}
		var err error
		if data, err = u.z.DecodeAll(packed, data[:0]); err != nil {
			return nil, fmt.Errorf("read a temporary file: %w", err)
		}
		from := at - i*blockBytes
		out = append(out, data[from:min(int64(len(data)), from+length-int64(len(out)))]...)
	}
	return out, nil
}

// unpackedFiles are the unpacked files of a source, each made when a line of it is first fetched.
type unpackedFiles struct {
	making chan struct{} // holds a value while a file is unpacked
	mu     sync.Mutex
	files  []*unpacked // the most recently used last
}

func newUnpackedFiles() *unpackedFiles { return &unpackedFiles{making: make(chan struct{}, 1)} }

// acquire returns the present version of a compressed file, unpacked. Call release after use.
func (s *Source) acquire(ctx context.Context, uri string) (*unpacked, error) {
	if _, u, err := s.present(ctx, uri); u != nil || err != nil {
		return u, err
	}
	select {
	case s.unpacked.making <- struct{}{}:
		defer func() { <-s.unpacked.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now, u, err := s.present(ctx, uri) // again: another caller may have unpacked it
	if u != nil || err != nil {
		return u, err
	}
	r, now, err := s.openLines(ctx, now)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	f, err := os.CreateTemp("", "gistmill-lines-*")
	if err != nil {
		return nil, fmt.Errorf("create a temporary file for a compressed file: %w", err)
	}
	u = &unpacked{uri: uri, version: now.version, f: f, users: 1}
	if u.z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(4*blockBytes)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	// Unlinked now, so that the file disappears with the process.
	if err = os.Remove(f.Name()); err == nil {
		err = u.fill(&untilDone{ctx: ctx, r: r})
	}
	// The lines before damaged data can be read.
	if bad := (*InputError)(nil); err != nil && !errors.As(err, &bad) {
		u.z.Close()
		_ = f.Close()
		return nil, fmt.Errorf("unpack a compressed file: %w", err)
	}
	s.unpacked.keep(u, s.maxPacked)
	return u, nil
}

// present looks up a compressed file, and returns its present version if that is unpacked, or nil.
func (s *Source) present(ctx context.Context, uri string) (item, *unpacked, error) {
	now, err := s.tree.item(ctx, uri)
	if err != nil {
		return item{}, nil, err
	}
	return now, s.unpacked.use(now), nil
}

// use returns a file that is unpacked in this version, or nil.
func (fs *unpackedFiles) use(now item) *unpacked {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, u := range fs.files {
		if u.uri == now.uri && u.version == now.version {
			u.users++
			fs.files = append(slices.Delete(fs.files, i, i+1), u)
			return u
		}
	}
	return nil
}

// keep adds a file, and drops its other versions and the least recently used files above the
// budget.
func (fs *unpackedFiles) keep(u *unpacked, budget int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	kept := []*unpacked{u}
	total := u.onDisk()
	for _, old := range slices.Backward(fs.files) {
		if total += old.onDisk(); old.uri != u.uri && total <= budget {
			kept = append(kept, old)
			continue
		}
		total -= old.onDisk()
		fs.drop(old)
	}
	slices.Reverse(kept)
	fs.files = kept
}

func (fs *unpackedFiles) drop(u *unpacked) {
	u.dropped = true
	if u.users == 0 {
		u.z.Close()
		_ = u.f.Close() // it was only read since it was written
	}
}

func (fs *unpackedFiles) release(u *unpacked) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if u.users--; u.dropped {
		fs.drop(u)
	}
}

func (fs *unpackedFiles) close() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, u := range fs.files {
		fs.drop(u)
	}
	fs.files = nil
}

// readRange reads a part of a file of lines, by offsets in its unpacked data.
func (s *Source) readRange(ctx context.Context, file item, offset, length int64) ([]byte, error) {
	if !isPacked(file.name) {
		return s.tree.readRange(ctx, file, offset, length)
	}
	u, err := s.acquire(ctx, file.uri)
	if err != nil {
		return nil, err
	}
	defer s.unpacked.release(u)
	return u.readAt(offset, length)
}

// reader returns all data from the start.
func (u *unpacked) reader() io.Reader { return &rangeReader{read: u.readAt, chunk: 4 * blockBytes} }

package extract

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/gistmill/gistmill/internal/source"
)

// zipKind distinguishes the types that are zip archives.
func zipKind(raw *source.Raw, ext string) kind {
	k := kind{mediaType: "application/zip"}
	head := raw.Data[:min(len(raw.Data), 4096)]
	what := "zip archive"
	switch {
	case ext == ".docx" || bytes.Contains(head, []byte("[Content_Types].xml")) || bytes.Contains(head, []byte("word/")):
		k.mediaType, what = "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "DOCX"
	case ext == ".epub" || bytes.Contains(head, []byte("application/epub+zip")):
		k.mediaType, what = "application/epub+zip", "EPUB"
	}
	k.cost = func(data []byte, _ Limits) int64 { return 8<<20 + 3*int64(len(data)) }
	k.read = func(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
		a, err := x.openArchive(ctx, raw.Data, what)
		if err != nil {
			return extracted{}, err
		}
		switch {
		case a.has("META-INF/container.xml"):
			return x.epub(ctx, a)
		case a.has("word/document.xml") || a.has("[Content_Types].xml") && what == "DOCX" && !a.hasFolder("xl") && !a.hasFolder("ppt"):
			return x.docx(ctx, a)
		case a.hasFolder("xl"):
			return extracted{}, inputError("unsupported type application/vnd.openxmlformats-officedocument.spreadsheetml.sheet (a spreadsheet: save it as CSV)")
		case a.hasFolder("ppt"):
			return extracted{}, inputError("unsupported type application/vnd.openxmlformats-officedocument.presentationml.presentation (slides: save them as PDF)")
		case a.has("content.xml"):
			return extracted{}, inputError("unsupported type application/vnd.oasis.opendocument (save it as DOCX)")
		}
		return extracted{}, inputError("unsupported type application/zip (an archive: unpack it)")
	}
	return k
}

// archive is a zip file. Reading its parts is limited.
type archive struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call of Extract
	what   string          // "DOCX", for messages
	files  map[string]*zip.File
	limits Limits
	left   int64 // bytes that may still be inflated
}

func (x *Extractor) openArchive(ctx context.Context, data []byte, what string) (*archive, error) {
	// Counted before zip.NewReader, which needs ten times the size of the directory in memory. The
	// number at the end of the archive may be wrong.
	if n := bytes.Count(data, []byte("PK\x01\x02")); n > x.limits.ZipEntries {
		return nil, inputError("zip bomb: %d entries, the limit is %d", n, x.limits.ZipEntries)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		if !bytes.Contains(data[max(0, len(data)-66<<10):], []byte("PK\x05\x06")) {
			return nil, inputError("truncated %s: its end is missing", what)
		}
		return nil, inputError("broken %s: its list of parts cannot be read", what)
	}
	a := &archive{ctx: ctx, what: what, files: make(map[string]*zip.File, len(z.File)), limits: x.limits, left: x.limits.Inflated}
	var declared uint64
	for _, f := range z.File {
		sum := declared + f.UncompressedSize64
		if sum < declared {
			sum = 1<<64 - 1
		}
		declared = sum
		if name := path.Clean(strings.ReplaceAll(f.Name, `\`, "/")); a.files[name] == nil {
			a.files[name] = f
		}
	}
	if declared > uint64(x.limits.RatioFloor) && declared/uint64(x.limits.Ratio) > uint64(len(data)) {
		return nil, inputError("zip bomb: %s in a file of %s", humanize.Bytes(declared), humanize.Bytes(uint64(len(data))))
	}
	return a, nil
}

func (a *archive) has(name string) bool { return a.files[name] != nil }

func (a *archive) hasFolder(name string) bool {
	for f := range a.files {
		if strings.HasPrefix(f, name+"/") {
			return true
		}
	}
	return false
}

// open reads one part, within the limits on what is inflated.
func (a *archive) open(name string) (io.ReadCloser, error) {
	f := a.files[path.Clean(strings.TrimPrefix(name, "/"))]
	if f == nil {
		return nil, inputError("broken %s: a part is missing", a.what)
	}
	if f.Flags&1 != 0 {
		return nil, inputError("encrypted %s: it opens only with a password", a.what)
	}
	if f.UncompressedSize64 > uint64(a.limits.InflatedPart) {
		return nil, a.tooLarge(int64(f.CompressedSize64))
	}
	r, err := f.Open()
	if err != nil {
		return nil, a.broken(err)
	}
	part := &partReader{archive: a, r: r, size: int64(f.CompressedSize64)}
	// XML is UTF-8 unless a byte order mark says otherwise.
	utf8 := transform.NewReader(part, unicode.BOMOverride(encoding.Nop.NewDecoder()))
	return struct {
		io.Reader
		io.Closer
	}{utf8, part}, nil
}

func (a *archive) tooLarge(compressed int64) error {
	return inputError("zip bomb: a part of %s inflates to more than %s", humanize.Bytes(uint64(compressed)),
		humanize.IBytes(uint64(min(a.limits.InflatedPart, a.limits.Inflated))))
}

func (a *archive) broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return inputError("truncated %s: a part ends too early", a.what)
	}
	if errors.Is(err, zip.ErrAlgorithm) {
		return inputError("broken %s: it uses an unknown compression", a.what)
	}
	return inputError("broken %s: a part is damaged", a.what)
}

// partReader counts the inflated bytes, because the sizes that an archive declares may be
// wrong.
type partReader struct {
	archive *archive
	r       io.ReadCloser
	size    int64 // compressed
	n       int64
}

func (p *partReader) Read(b []byte) (int, error) {
	if err := p.archive.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.n += int64(n)
	p.archive.left -= int64(n)
	l := p.archive.limits
	if p.n > l.InflatedPart || p.archive.left < 0 || p.n > l.RatioFloor && p.n/l.Ratio > p.size {
		return n, p.archive.tooLarge(p.size)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = p.archive.broken(err)
	}
	return n, err
}

func (p *partReader) Close() error { return p.r.Close() }

package corpus

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sync/semaphore"
)

// Extractor turns bytes into text. One is meant for the whole process: it holds the memory
// budget that all documents share, and the PDF engine, which is started by the first PDF. Its
// methods may be used from several goroutines at once.
type Extractor struct {
	limits Limits
	memory *semaphore.Weighted
	raw    *semaphore.Weighted
	pdf    pdfEngine
}

// NewExtractor makes an Extractor; nothing is started.
func NewExtractor(l Limits) *Extractor {
	l = l.withDefaults()
	return &Extractor{limits: l, memory: semaphore.NewWeighted(l.Memory), raw: semaphore.NewWeighted(l.RawMemory)}
}

// Close stops the PDF engine. No Extract may be under way.
func (x *Extractor) Close() error { return x.pdf.close() }

// Read fetches a document and extracts its text. However many documents are read at once,
// their bytes stay within Limits.RawMemory: further ones wait before they are fetched. The Raw
// that comes back has no Data; it is given together with an error of Extract, too.
func (x *Extractor) Read(ctx context.Context, s *Source, ref Ref) (*Raw, *Document, error) {
	size, err := s.size(ctx, ref)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch %s: %w", ref.URI, err)
	}
	weight := min(size+4096, x.limits.RawMemory)
	if err := x.raw.Acquire(ctx, weight); err != nil {
		return nil, nil, fmt.Errorf("fetch %s: %w", ref.URI, err)
	}
	defer x.raw.Release(weight)
	raw, err := s.Fetch(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	doc, err := x.Extract(ctx, raw)
	raw.Data = nil
	return raw, doc, err
}

// Extract gives the text of a document. Where the document is at fault (broken, encrypted,
// empty, of an unsupported type, beyond a limit) the error is an *InputError; it is ctx's
// error when ctx ended first.
func (x *Extractor) Extract(ctx context.Context, raw *Raw) (*Document, error) {
	doc, err := x.extract(ctx, raw)
	if err == nil {
		return doc, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("extract %s: %w", raw.Name, ctx.Err())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = &InputError{Reason: fmt.Sprintf("it took more than %s to read", x.limits.Time)}
	}
	return nil, fmt.Errorf("extract %s: %w", raw.Name, err)
}

func (x *Extractor) extract(ctx context.Context, raw *Raw) (_ *Document, err error) {
	if size := int64(len(raw.Data)); size > x.limits.Bytes {
		return nil, &InputError{Reason: tooLarge(size, x.limits.Bytes)}
	}
	kind := detect(raw)
	if kind.read == nil {
		return nil, &InputError{Reason: kind.reason}
	}
	if kind.mediaType == "application/pdf" {
		if err := x.pdf.start(ctx, x.limits, x.memory); err != nil {
			return nil, err
		}
		// Before the memory, which a PDF that waits for its turn must not hold.
		if err := x.pdf.places.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer x.pdf.places.Release(1)
	}
	weight := min(kind.weight(raw.Data, x.limits), x.limits.Memory)
	if err := x.memory.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	defer x.release(weight)
	ctx, cancel := context.WithTimeout(ctx, x.limits.Time)
	defer cancel()
	defer func() {
		// A reader that trips over a document must not take the process down. The stack
		// names code only, never text.
		if p := recover(); p != nil {
			err = &InputError{Reason: fmt.Sprintf("the reader of %s failed: %s", kind.mediaType, panicPlace(debug.Stack()))}
		}
	}()
	got, err := kind.read(ctx, x, raw)
	if err != nil {
		return nil, err
	}
	text, stats := clean(got.text, false)
	if stats.binary() {
		return nil, &InputError{Reason: "unsupported type application/octet-stream (binary)"}
	}
	if !stats.visible {
		return nil, &InputError{Reason: kind.emptyReason()}
	}
	if int64(len(text)) > x.limits.Text {
		return nil, x.tooMuchText()
	}
	title, _ := clean([]byte(got.title), true)
	return &Document{Title: title, Text: text, MediaType: kind.mediaType}, nil
}

// release gives memory back that was estimated for a document. After a large one the garbage
// is collected at once: otherwise the next ones would come on top of what it left.
func (x *Extractor) release(weight int64) {
	if weight >= 32<<20 {
		runtime.GC()
	}
	x.memory.Release(weight)
}

func (x *Extractor) tooMuchText() error {
	return &InputError{Reason: fmt.Sprintf("too much text: more than %d MiB", x.limits.Text>>20)}
}

// panicPlace finds the function that panicked in a stack trace.
func panicPlace(stack []byte) string {
	_, after, _ := strings.Cut(string(stack), "panic(")
	lines := strings.SplitN(after, "\n", 4)
	if len(lines) < 3 {
		return "panic"
	}
	name, _, _ := strings.Cut(lines[2], "(")
	return "panic in " + strings.TrimSpace(name)
}

// extracted is what the reader of a format gives: the text as it stands in the document, not
// yet cleaned.
type extracted struct {
	title string
	text  []byte
}

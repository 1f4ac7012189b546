// Package extract turns the bytes of a document into clean text, by its format.
//
// It owns the formats, the limits on what one document may cost, and the child processes that
// keep a hostile document from harming this process.
//
// It refuses to own where documents are (internal/source) and what becomes of one that cannot be
// read (worker). It keeps no text and writes no log.
package extract

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/text"
)

// stopGrace is how long a reader may take to notice that its time is over: some steps of other people's code, such as building
// a tree of 8 MiB of HTML, cannot be interrupted.
const stopGrace = 5 * time.Second

// StuckError says that a document's reader went on after its time was over, whatever it was told.
type StuckError struct {
	After time.Duration
}

func (e *StuckError) Error() string { return fmt.Sprintf("its reader did not stop after %s", e.After) }

// Document is the text of a document.
type Document struct {
	// Title is the one the format carries, else empty; never the file's name.
	Title string
	// Text is valid UTF-8 with \n line ends, paragraphs separated by an empty line, headings
	// marked with # as in Markdown, and neither control nor invisible characters.
	Text string
	// MediaType is the type that was found, such as "application/pdf".
	MediaType string
}

// Extractor turns bytes into text. One is meant for the whole process: it holds the memory
// budget that all documents share, and the PDF engine, which is started by the first PDF. Its
// methods may be used from several goroutines at once.
type Extractor struct {
	limits Limits
	memory *semaphore.Weighted
	raw    *semaphore.Weighted
	pdf    pdfEngine
	stuck  atomic.Int64
}

// New makes an Extractor; nothing is started.
func New(l Limits) *Extractor {
	l = l.withDefaults()
	return &Extractor{limits: l, memory: semaphore.NewWeighted(l.Memory), raw: semaphore.NewWeighted(l.RawMemory)}
}

// Close stops the PDF engine. No Extract may be under way.
func (x *Extractor) Close() error { return x.pdf.close() }

// Stuck is how many readers in this process did not stop when their time was over, and have not since. Nothing can end them but
// the end of the process: they keep a processor busy, or memory in use.
func (x *Extractor) Stuck() int64 { return x.stuck.Load() }

// Read fetches a document and extracts its text. However many documents are read at once,
// their bytes stay within Limits.RawMemory: further ones wait before they are fetched. The Raw
// that comes back has no Data; it is given together with an error of Extract, too.
func (x *Extractor) Read(ctx context.Context, s *source.Source, ref source.Ref) (*source.Raw, *Document, error) {
	size, err := s.Size(ctx, ref)
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
// empty, of an unsupported type, beyond a limit) the error is an *InputError; it is a *StuckError
// when its reader had to be left to itself, and ctx's error when ctx ended first.
func (x *Extractor) Extract(ctx context.Context, raw *source.Raw) (*Document, error) {
	doc, err := x.extract(ctx, raw)
	if err == nil {
		return doc, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("extract %s: %w", raw.Name, ctx.Err())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = inputError("it took more than %s to read", x.limits.Time)
	}
	return nil, fmt.Errorf("extract %s: %w", raw.Name, err)
}

func (x *Extractor) extract(ctx context.Context, raw *source.Raw) (*Document, error) {
	if size := int64(len(raw.Data)); size > x.limits.Bytes {
		return nil, source.TooLarge(size, x.limits.Bytes)
	}
	own := *raw // a reader that is left to itself keeps it, and the caller's may change
	kind, err := x.look(ctx, &own)
	if err != nil {
		return nil, err
	}
	if kind.read == nil {
		return nil, &source.InputError{Reason: kind.reason}
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
	return watch(ctx, x, "the reader of "+kind.mediaType, func(ctx context.Context) (*Document, error) { return x.read(ctx, kind, &own) })
}

// look finds the type of a document; that of text by declaration needs no watch.
func (x *Extractor) look(ctx context.Context, raw *source.Raw) (kind, error) {
	if raw.PlainText {
		return detect(raw), nil
	}
	return watch(ctx, x, "the look at its type", func(context.Context) (kind, error) { return detect(raw), nil })
}

// watch has a step done within the time of a document. One that does not end then is left to itself, and one that trips over a
// document does not take the process down.
func watch[T any](ctx context.Context, x *Extractor, what string, step func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, x.limits.Time)
	defer cancel()
	var done T
	var err error
	var over atomic.Bool // whoever comes first: the step's end, or the end of patience
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				// The stack names code only, never text.
				err = inputError("%s failed: %s", what, panicPlace(debug.Stack()))
			}
			if !over.CompareAndSwap(false, true) {
				x.stuck.Add(-1)
			}
		}()
		done, err = step(ctx)
	}()
	select {
	case <-ended:
		return done, err
	case <-ctx.Done():
	}
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-ended:
		return done, err
	case <-grace.C:
	}
	x.stuck.Add(1)
	if over.CompareAndSwap(false, true) {
		var none T
		return none, &StuckError{After: x.limits.Time + stopGrace}
	}
	x.stuck.Add(-1)
	<-ended
	return done, err
}

// read has a reader do its work and cleans what it gives.
func (x *Extractor) read(ctx context.Context, kind kind, raw *source.Raw) (*Document, error) {
	got, err := kind.read(ctx, x, raw)
	if err != nil {
		return nil, err
	}
	cleaned, stats := text.Clean(got.text)
	if stats.Binary() {
		return nil, inputError("unsupported type application/octet-stream (binary)")
	}
	if !stats.Visible {
		return nil, &source.InputError{Reason: kind.emptyReason()}
	}
	if int64(len(cleaned)) > x.limits.Text {
		return nil, x.tooMuchText()
	}
	title := text.CleanLine(got.title)
	return &Document{Title: extendTitle("", []byte(title)), Text: cleaned, MediaType: kind.mediaType}, nil
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
	return inputError("too much text: more than %d MiB", x.limits.Text>>20)
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

// inputError says why a document cannot be read, in plain words and without text of it.
func inputError(format string, args ...any) error {
	return &source.InputError{Reason: fmt.Sprintf(format, args...)}
}

// Package extract turns the bytes of a document into clean text, by its format. A [Reader]
// chooses where a document is read, an [Extractor] reads it in this process, and [Serve] reads
// it in a child process.
//
// It owns the formats, the limits on what one document may cost, and the child processes that
// keep a hostile document from harming this process.
//
// It refuses to own where documents are (internal/source) and what becomes of one that cannot
// be read (worker). It keeps no text and writes no log.
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

// stopGrace is how long a reader may take to notice that its time is over. Some steps of
// libraries, such as building a tree of 8 MiB of HTML, cannot be interrupted.
const stopGrace = 5 * time.Second

// StuckError means that the reader of a document continued after its time was over.
type StuckError struct {
	// After is how long the reader had, Limits.Time plus a grace of 5 s.
	After time.Duration
}

func (e *StuckError) Error() string { return fmt.Sprintf("its reader did not stop after %s", e.After) }

// Document is the extracted text of a document.
type Document struct {
	// Title is the one in the document, else empty. It is never the name of the file.
	Title string
	// Text is valid UTF-8 with \n line ends. An empty line separates paragraphs, and # marks
	// headings as in Markdown. It has no control or invisible characters.
	Text string
	// MediaType is the detected type, such as "application/pdf".
	MediaType string
}

// Extractor extracts text in this process. A process needs one: it holds the memory budget that
// all documents share, and the PDF engine, which the first PDF starts. Its methods may be used
// from several goroutines at once.
type Extractor struct {
	limits Limits
	memory *semaphore.Weighted
	raw    *semaphore.Weighted
	pdf    pdfEngine
	stuck  atomic.Int64
}

// New returns an Extractor. It starts nothing.
func New(l Limits) *Extractor {
	l = l.withDefaults()
	return &Extractor{limits: l, memory: semaphore.NewWeighted(l.Memory), raw: semaphore.NewWeighted(l.RawMemory)}
}

// Close stops the PDF engine. No Extract may be in progress.
func (x *Extractor) Close() error { return x.pdf.close() }

// Stuck returns how many readers in this process have not stopped since their time was over.
// They cannot be stopped: they occupy a processor, or memory, until they end or the process
// does.
func (x *Extractor) Stuck() int64 { return x.stuck.Load() }

// Read fetches a document and extracts its text. The bytes of all documents that are read at
// once stay within Limits.RawMemory; further documents wait before they are fetched. The
// returned Raw has no Data. It is also returned if extraction fails. Errors are those of
// [source.Source.Fetch] and [Extractor.Extract].
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

// Extract returns the text of a document. The error is a [*source.InputError] if the document
// is the reason (broken, encrypted, empty, of an unsupported type, beyond a limit), a
// [*StuckError] if its reader did not stop in time, and that of ctx if ctx ended first.
func (x *Extractor) Extract(ctx context.Context, raw *source.Raw) (*Document, error) {
	doc, err := x.extract(ctx, raw)
	if err == nil {
		return doc, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("extract %s: %w", raw.Name, ctx.Err())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = inputError("reading it took more than %s", x.limits.Time)
	}
	return nil, fmt.Errorf("extract %s: %w", raw.Name, err)
}

func (x *Extractor) extract(ctx context.Context, raw *source.Raw) (*Document, error) {
	if size := int64(len(raw.Data)); size > x.limits.Bytes {
		return nil, source.TooLarge(size, x.limits.Bytes)
	}
	own := *raw // a stuck reader keeps it, and the caller may change raw
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
		// Acquired before the memory, which a waiting PDF must not hold.
		if err := x.pdf.slots.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer x.pdf.slots.Release(1)
	}
	weight := min(kind.weight(raw.Data, x.limits), x.limits.Memory)
	if err := x.memory.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	defer x.release(weight)
	return watch(ctx, x, "the reader of "+kind.mediaType, func(ctx context.Context) (*Document, error) { return x.read(ctx, kind, &own) })
}

// look finds the type of a document. Text by declaration needs no watch.
func (x *Extractor) look(ctx context.Context, raw *source.Raw) (kind, error) {
	if raw.PlainText {
		return detect(raw), nil
	}
	return watch(ctx, x, "the detection of its type", func(context.Context) (kind, error) { return detect(raw), nil })
}

// watch runs a step within Limits.Time. It abandons a step that has not ended stopGrace later,
// with a [*StuckError]. A panic of the step becomes an error.
func watch[T any](ctx context.Context, x *Extractor, what string, step func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, x.limits.Time)
	defer cancel()
	var done T
	var err error
	var over atomic.Bool // set first by the end of the step, or by the end of its time
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				// The stack has names of functions and no text of the document.
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

// read runs the reader of a format and cleans its result.
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

// release returns the memory that was estimated for a document. After a large one it collects
// the garbage. Otherwise that would add to the memory of the next documents.
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

// extracted is what the reader of a format returns: the text of the document before cleaning.
type extracted struct {
	title string
	text  []byte
}

// inputError returns an error that says why a document cannot be read, without text of it.
func inputError(format string, args ...any) error {
	return &source.InputError{Reason: fmt.Sprintf(format, args...)}
}

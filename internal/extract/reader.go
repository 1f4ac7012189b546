package extract

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/gistmill/gistmill/internal/source"
)

// Reader fetches documents and extracts their text for a process that must survive them. It
// reads each document in this process or in a child process. Its methods may be used from
// several goroutines at once.
type Reader struct {
	extractor *Extractor
	command   []string
	limits    Limits
	gate      gate
	// isolatedSlots holds a value for each child that reads a suspect, childSlots for each child
	// that reads another document.
	isolatedSlots, childSlots chan struct{}
}

// NewReader returns a Reader and starts nothing. command is the command line of a child
// process, which calls [Serve].
func NewReader(l Limits, command ...string) *Reader {
	return &Reader{
		extractor: New(l), command: command, limits: l,
		isolatedSlots: make(chan struct{}, l.Children()), childSlots: make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
}

// Close stops the PDF engine. No read may be in progress.
func (r *Reader) Close() error { return r.extractor.Close() }

// Stuck returns how many readers are stuck in this process, see [Extractor.Stuck].
func (r *Reader) Stuck() int64 { return r.extractor.Stuck() }

// Read reads a document in this process. It uses a child process while a reader is stuck in
// this process, so that no second one gets stuck, and while suspects are read. Results and
// errors are those of [Extractor.Read]; the error is a [*CrashError] if a child process died.
func (r *Reader) Read(ctx context.Context, s *source.Source, ref source.Ref) (*source.Raw, *Document, error) {
	if r.extractor.Stuck() > 0 || !r.gate.tryEnter() {
		return r.readInChild(ctx, s, ref)
	}
	defer r.gate.leave()
	return r.extractor.Read(ctx, s, ref)
}

func (r *Reader) readInChild(ctx context.Context, s *source.Source, ref source.Ref) (raw *source.Raw, doc *Document, err error) {
	err = inSlot(ctx, r.childSlots, func() error {
		if raw, err = s.Fetch(ctx, ref); err != nil {
			return err
		}
		doc, err = r.extractInChild(ctx, raw)
		return err
	})
	return raw, doc, err
}

// ReadIsolated reads a suspect in a child process. No document is read in this process
// meanwhile. Results and errors are those of [Reader.Read].
//
// It calls countCrash with +1 before the child starts and with -1 after the child has ended. If
// this process dies together with the child, the count remains: a kernel that is short of
// memory may kill both. ReadIsolated does not count while it fetches the document, nor while a
// reader is stuck in this process, because that reader may be what kills the process. If
// countCrash(+1) fails, no child starts. An error of countCrash(-1) is joined to that of the
// read.
func (r *Reader) ReadIsolated(
	ctx context.Context, s *source.Source, ref source.Ref, countCrash func(delta int64) error,
) (raw *source.Raw, doc *Document, err error) {
	err = inSlot(ctx, r.isolatedSlots, func() error {
		if raw, err = s.Fetch(ctx, ref); err != nil {
			return err
		}
		if err := r.gate.close(ctx); err != nil {
			return err
		}
		defer r.gate.open()
		counts := r.Stuck() == 0
		if counts {
			if err := countCrash(1); err != nil {
				return err
			}
		}
		doc, err = r.extractInChild(ctx, raw)
		if counts {
			err = errors.Join(countCrash(-1), err)
		}
		return err
	})
	return raw, doc, err
}

func (r *Reader) extractInChild(ctx context.Context, raw *source.Raw) (*Document, error) {
	doc, err := inChild(ctx, r.command, raw, r.limits)
	raw.Data = nil // as after Extractor.Read
	return doc, err
}

// inSlot waits for a free slot and calls do in it.
func inSlot(ctx context.Context, slots chan struct{}, do func() error) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gate separates, in time, the documents that this process reads from the suspects that child
// processes read. So if this process dies while a suspect is read, no other document is the
// cause. Any number of documents, or of suspects, may be read at once. Its methods may be used
// from several goroutines at once. The zero value is open.
type gate struct {
	mu       sync.Mutex
	inside   int           // documents that are read in this process
	closures int           // suspects that are read, or that wait for inside to become 0
	idle     chan struct{} // closed when inside becomes 0; nil if no suspect waits for that
}

// tryEnter admits a document to this process until leave. It returns false while the gate is
// closed.
func (g *gate) tryEnter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closures > 0 {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// close admits no further document until open, and returns when none is inside. It fails with
// the error of ctx; then the caller must not call open.
func (g *gate) close(ctx context.Context) error {
	idle := g.beginClosing()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		g.open()
		return ctx.Err()
	}
}

func (g *gate) beginClosing() (idle chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closures++
	if g.inside > 0 && g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closures--
}

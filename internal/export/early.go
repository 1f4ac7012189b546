package export

import (
	"context"
	"errors"

	"github.com/gistmill/gistmill/internal/ledger"
)

// earlyQueue bounds the records that wait to be written. Each takes some kilobytes.
const earlyQueue = 1024

// EarlyWriter writes pages into a folder while summaries are still being made, so that people see
// them appear and little remains to do at the end. It has no say in the result: [Output.Write] goes
// through all pages and moves one that took another's name, because names depend on the order.
type EarlyWriter struct {
	output  *Output
	records chan Record
	closing chan struct{} // closed when no record follows
	ended   chan struct{} // closed when Run has ended
}

// NewEarlyWriter returns a writer for a folder.
func NewEarlyWriter(o *Output) *EarlyWriter {
	return &EarlyWriter{output: o, records: make(chan Record, earlyQueue), closing: make(chan struct{}), ended: make(chan struct{})}
}

// Add queues a page for Run. It never blocks: when the queue is full, the page is left to
// [Output.Write]. It is safe for concurrent use.
func (w *EarlyWriter) Add(e ledger.Exported) {
	select {
	case w.records <- RecordOf(e):
	default:
	}
}

// Close waits until Run has written the queued pages. Call it once, while Run runs or before.
// Records added later are not written.
func (w *EarlyWriter) Close() {
	close(w.closing)
	<-w.ended
}

// next returns the next record to write; false marks the end.
func (w *EarlyWriter) next() (Record, bool) {
	select {
	case r := <-w.records:
		return r, true
	case <-w.closing:
	}
	select {
	case r := <-w.records:
		return r, true
	default:
		return Record{}, false
	}
}

// Run writes queued pages until Close. After ctx has ended it stops at the next record. Call it
// once. It reports no error: [Output.Write] writes the missing pages again and returns the reason
// if that fails too.
func (w *EarlyWriter) Run(ctx context.Context) {
	defer close(w.ended)
	first, ok := w.next()
	if !ok {
		return
	}
	names := newNamer(LinesName)
	if w.reserve(ctx, names) != nil {
		return
	}
	p := pages{Output: w.output, early: true}
	_ = p.write(ctx, func(add func(Record) error) error {
		for r, ok := first, true; ok; r, ok = w.next() {
			r.Page = names.name(r)
			if err := add(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// reserve keeps files that gistmill did not write from being taken for pages.
func (w *EarlyWriter) reserve(ctx context.Context, names *namer) error {
	if err := w.output.marker.Lock(ctx); err != nil {
		return err
	}
	return errors.Join(w.output.reserve(names, nil), w.output.marker.Unlock())
}

package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

// document does all steps for one document, from its bytes to its outcome. A panic in a step is the document's failure,
// not the worker's end.
func (w *Worker) document(ctx context.Context, j *job, c ledger.Claimed) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			w.Log.Error("panic", "doc", c.URI, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			o = w.crashed(c, "a step panicked")
		}
	}()
	if c.Suspect && c.Crashes >= crashLimit {
		return dead{class: ledger.ClassCrashing, message: fmt.Sprintf("the worker died %d times while this document was read", c.Crashes)}
	}
	read, text, err := w.read(ctx, j, c)
	if err != nil {
		return w.classify(ctx, j, c, read, err)
	}
	doc := summarize.Document{URI: c.URI, Title: text.Title, Text: text.Text}
	name := j.name(doc)
	var known ledger.Summary
	err = w.persist(ctx, "look for the summary", func() error {
		known, err = w.Ledger.Summary(ctx, name, j.run.ForcedAt)
		return err
	})
	if err == nil {
		return done{read, known}
	}
	if !errors.Is(err, ledger.ErrNotFound) {
		return w.classify(ctx, j, c, read, err)
	}
	calls := &recordedCalls{worker: w, job: j, claim: c}
	made, err := j.engine.Summarize(ctx, calls, doc)
	if err != nil {
		return w.classify(ctx, j, c, read, err)
	}
	return done{read, ledger.Summary{
		Name: name, Title: text.Title, Text: made.Text, Output: made.Output, Model: made.Model, Endpoint: made.Endpoint,
		TokensIn: int64(made.Usage.In), TokensOut: int64(made.Usage.Out), CostNano: calls.cost.sum(), Chunks: int64(made.Chunks),
		Checks: checks.JSON(made.Findings),
	}}
}

// read fetches a document and extracts its text: a suspect by a child process that reads nothing else, and any document by a
// child while a reader is stuck in this process, so that no further one can be, or while suspects are read.
func (w *Worker) read(ctx context.Context, j *job, c ledger.Claimed) (ledger.Read, *extract.Document, error) {
	ref := source.Ref{URI: c.URI, Locator: c.Locator, Version: c.Version}
	var raw *source.Raw
	var doc *extract.Document
	var err error
	switch {
	case c.Suspect:
		raw, doc, err = w.readSuspect(ctx, j.source, ref, c)
	case w.Extractor.Stuck() > 0 || !w.readers.enter():
		raw, doc, err = w.readApart(ctx, j.source, ref)
	default:
		defer w.readers.leave()
		raw, doc, err = w.Extractor.Read(ctx, j.source, ref)
	}
	if raw == nil {
		return ledger.Read{}, nil, err
	}
	return ledger.Read{Version: raw.Version, SHA256: raw.SHA256}, doc, err
}

// readSuspect counts a crash before the document's bytes are read and takes it back after: if this process dies with the child, for the
// kernel may end both when memory is short, it stands. Nothing is counted while they are fetched, nor where a reader that was left to
// itself goes on in this process and may be what takes it down.
func (w *Worker) readSuspect(ctx context.Context, src *source.Source, ref source.Ref, c ledger.Claimed) (raw *source.Raw, doc *extract.Document, err error) {
	count := func(by int64) error {
		return w.persist(w.calls, "count a crash", func() error { return w.Ledger.CountCrash(context.WithoutCancel(ctx), w.id, c, by) })
	}
	err = inPlace(ctx, w.alone, func() error {
		if raw, err = src.Fetch(ctx, ref); err != nil {
			return err
		}
		if err := w.readers.suspect(ctx); err != nil {
			return err
		}
		defer w.readers.cleared()
		counts := w.Extractor.Stuck() == 0
		if counts {
			if err := count(1); err != nil {
				return err
			}
		}
		doc, err = extract.InChild(ctx, w.ReaderCommand, raw, w.Limits)
		if counts {
			err = errors.Join(count(-1), err)
		}
		return err
	})
	return raw, doc, err
}

func (w *Worker) readApart(ctx context.Context, src *source.Source, ref source.Ref) (raw *source.Raw, doc *extract.Document, err error) {
	err = inPlace(ctx, w.apart, func() error {
		if raw, err = src.Fetch(ctx, ref); err != nil {
			return err
		}
		doc, err = extract.InChild(ctx, w.ReaderCommand, raw, w.Limits)
		return err
	})
	return raw, doc, err
}

// inPlace waits for one of a few places, and does something in it.
func inPlace(ctx context.Context, places chan struct{}, do func() error) error {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

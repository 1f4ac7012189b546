package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/summarize"
)

// document takes one document from its bytes to its outcome. A panic in a step counts as a
// crash of the document's reader; the worker continues.
func (w *Worker) document(ctx context.Context, r *openRun, c ledger.Claimed) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("step panicked", "doc", c.URI, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			o = w.crashed(c, "a step panicked")
		}
	}()
	if c.Suspect && c.Crashes >= crashLimit {
		return dead{class: ledger.ClassCrashing, message: fmt.Sprintf("the worker died %d times while this document was read", c.Crashes)}
	}
	if o := w.stillSuspected(ctx, r, c); o != nil {
		return o
	}
	read, text, err := w.read(ctx, r, c)
	if err != nil {
		return w.classify(ctx, r, c, read, err)
	}
	doc := summarize.Document{URI: c.URI, Title: text.Title, Text: text.Text}
	name := r.summaryName(doc)
	known, err := w.lookUp(ctx, name, r.run.ForcedAt)
	if err == nil {
		return done{read, known}
	}
	if !errors.Is(err, ledger.ErrNotFound) {
		return w.classify(ctx, r, c, read, err)
	}
	calls := &recordedCalls{worker: w, open: r, claim: c}
	made, err := r.engine.Summarize(ctx, calls, doc)
	var short *summarize.ShortError
	if errors.As(err, &short) && !r.run.ForcedAt.IsZero() {
		// It cannot be made again without a call, so what is done stays done.
		if known, lookUp := w.lookUp(ctx, name, time.Time{}); lookUp == nil {
			return done{read, known}
		}
	}
	if err != nil {
		return w.classify(ctx, r, c, read, err)
	}
	return done{read, ledger.Summary{
		Name: name, Title: text.Title, Text: made.Text, Output: made.Output, Model: made.Model, Endpoint: made.Endpoint,
		TokensIn: int64(made.Usage.In), TokensOut: int64(made.Usage.Out), CostNano: calls.cost.sum(), Chunks: int64(made.Chunks),
		Checks: checks.JSON(made.Findings),
	}}
}

// lookUp returns the summary of a name that was made at a time or later.
func (w *Worker) lookUp(ctx context.Context, name string, since time.Time) (s ledger.Summary, err error) {
	err = w.persist(ctx, "look up the summary", func() error {
		s, err = w.ledger.Summary(ctx, name, since)
		return err
	})
	return s, err
}

// read fetches a document and extracts its text. A suspect is read in isolation, and a crash
// is counted while the child process reads it: if this process dies with the child, the count
// remains.
func (w *Worker) read(ctx context.Context, r *openRun, c ledger.Claimed) (ledger.Read, *extract.Document, error) {
	ref := source.Ref{URI: c.URI, Locator: c.Locator, Version: c.Version}
	var raw *source.Raw
	var doc *extract.Document
	var err error
	if c.Suspect {
		raw, doc, err = w.config.Reader.ReadIsolated(ctx, r.source, ref, func(delta int64) error {
			return w.persist(w.calls, "count a crash", func() error {
				return w.ledger.CountCrash(context.WithoutCancel(ctx), w.id, c, delta)
			})
		})
	} else {
		raw, doc, err = w.config.Reader.Read(ctx, r.source, ref)
	}
	if raw == nil {
		return ledger.Read{}, nil, err
	}
	fields := ledger.Fields{JSON: raw.Fields, TooLarge: raw.FieldsTooLarge}
	return ledger.Read{Version: raw.Version, SHA256: raw.SHA256, Fields: fields}, doc, err
}

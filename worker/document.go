package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/semaphore"

	"github.com/gistmill/gistmill/internal/corpus"
	"github.com/gistmill/gistmill/internal/ledger"
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
	read, text, err := w.read(ctx, j, c)
	if err != nil {
		return w.classify(ctx, j, c, read, err)
	}
	doc := summarize.Document{URI: c.URI, Title: text.Title, Text: text.Text}
	name := j.profile.Name(doc)
	known, err := w.Ledger.Summary(ctx, name, j.run.ForcedAt)
	if err == nil {
		return done{read, known}
	}
	if !errors.Is(err, ledger.ErrNotFound) {
		return w.classify(ctx, j, c, read, err)
	}
	account := &account{job: j, claim: c}
	made, err := j.engine.Summarize(account.in(ctx), doc)
	if err != nil {
		return w.classify(ctx, j, c, read, err)
	}
	return done{read, ledger.Summary{
		Name: name, Title: text.Title, Text: made.Text, Output: made.Output, Model: made.Model,
		TokensIn: int64(made.Usage.In), TokensOut: int64(made.Usage.Out), CostNano: account.cost(), Chunks: int64(made.Chunks),
	}}
}

// read fetches a document and extracts its text. The bytes in flight in the process are bounded.
func (w *Worker) read(ctx context.Context, j *job, c ledger.Claimed) (ledger.Read, *corpus.Document, error) {
	free, err := w.bytes.take(ctx, c.Size)
	if err != nil {
		return ledger.Read{}, nil, err
	}
	defer free()
	raw, err := j.source.Fetch(ctx, corpus.Ref{URI: c.URI, Locator: c.Locator, Version: c.Version})
	if err != nil {
		return ledger.Read{}, nil, err
	}
	read := ledger.Read{Version: raw.Version, SHA256: raw.SHA256}
	var doc *corpus.Document
	if c.Suspect {
		doc, err = corpus.ExtractInChild(ctx, w.ReaderCommand, raw, w.Limits)
	} else {
		doc, err = w.Extractor.Extract(ctx, raw)
	}
	return read, doc, err
}

// byteBudget bounds the bytes of documents in memory.
type byteBudget struct {
	most int64
	free *semaphore.Weighted
}

func newByteBudget(most int64) *byteBudget {
	return &byteBudget{most, semaphore.NewWeighted(most)}
}

func (b *byteBudget) take(ctx context.Context, n int64) (release func(), err error) {
	n = min(max(n, 0), b.most)
	if err := b.free.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { b.free.Release(n) }, nil
}

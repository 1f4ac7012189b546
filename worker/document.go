package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/gistmill/gistmill/internal/corpus"
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/summarize"
	"github.com/gistmill/gistmill/internal/summarize/checks"
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
	account := &account{job: j, claim: c}
	made, err := j.engine.Summarize(account.in(ctx), doc)
	if err != nil {
		return w.classify(ctx, j, c, read, err)
	}
	return done{read, ledger.Summary{
		Name: name, Title: text.Title, Text: made.Text, Output: made.Output, Model: made.Model, Endpoint: made.Endpoint,
		TokensIn: int64(made.Usage.In), TokensOut: int64(made.Usage.Out), CostNano: account.cost(), Chunks: int64(made.Chunks),
		Checks: checks.JSON(made.Findings),
	}}
}

// read fetches a document and extracts its text. A suspect is read by a child process, one at a time.
func (w *Worker) read(ctx context.Context, j *job, c ledger.Claimed) (ledger.Read, *corpus.Document, error) {
	ref := corpus.Ref{URI: c.URI, Locator: c.Locator, Version: c.Version}
	read := w.Extractor.Read
	if c.Suspect {
		read = w.readAlone
	}
	raw, doc, err := read(ctx, j.source, ref)
	if raw == nil {
		return ledger.Read{}, nil, err
	}
	return ledger.Read{Version: raw.Version, SHA256: raw.SHA256}, doc, err
}

func (w *Worker) readAlone(ctx context.Context, source *corpus.Source, ref corpus.Ref) (*corpus.Raw, *corpus.Document, error) {
	w.alone.Lock()
	defer w.alone.Unlock()
	raw, err := source.Fetch(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	doc, err := corpus.ExtractInChild(ctx, w.ReaderCommand, raw, w.Limits)
	return raw, doc, err
}

package summarize

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/gistmill/gistmill/internal/llm"
)

// note is what the model wrote about a part of the document.
type note struct {
	text     string
	tokens   int
	evidence string // quoted sentences of that part; may be empty
}

// mapChunks reads the document in chunks of at most budget tokens and returns the notes in
// document order. With an error it returns an empty note for each planned chunk.
func (w *documentWork) mapChunks(ctx context.Context, budget int) ([]note, error) {
	chunks := split(w.doc.Text, budget, w.count.count)
	parts := make([][]note, len(chunks))
	err := w.each(len(chunks), func(i int) error {
		var err error
		parts[i], err = w.mapChunk(ctx, chunks[i].text(w.doc.Text), min(budget, chunks[i].tokens))
		return wrap(err, "read part %d of %d", i+1, len(chunks))
	})
	if err != nil {
		return make([]note, len(chunks)), err
	}
	var notes []note
	for _, p := range parts {
		notes = append(notes, p...)
	}
	return notes, nil
}

// mapChunk returns the notes on a chunk. There are several if the model's window was too
// small and the chunk was halved. Halving depends on this chunk alone, so that the same
// document gives the same requests in whatever order answers arrive.
func (w *documentWork) mapChunk(ctx context.Context, text string, tokens int) ([]note, error) {
	n, err := w.note(ctx, w.chunkRequest(text))
	if err == nil {
		n.evidence, err = w.quote(ctx, text, quotedWords)
		return []note{n}, err
	}
	if !isContextLength(err) || tokens/2 < leastRoom/2 {
		return nil, err
	}
	var notes []note
	budget := w.smaller(err, tokens)
	for _, c := range split(text, budget, w.count.count) {
		part, err := w.mapChunk(ctx, c.text(text), min(budget, c.tokens))
		if err != nil {
			return nil, err
		}
		notes = append(notes, part...)
	}
	return notes, nil
}

// smaller returns the budget for the chunks of a text whose request did not fit: half of its
// tokens, or what fits into the window that the endpoint showed by the part that it read.
func (w *documentWork) smaller(err error, tokens int) int {
	half := tokens / 2
	var e *llm.Error
	if !errors.As(err, &e) || e.Window == 0 {
		return half
	}
	room := e.Window - e.Window/marginShare - w.limits.noteOutput - w.tokens(w.chunkRequest(""))
	if room < leastRoom {
		return half
	}
	return min(half, room)
}

// each runs f for 0 to n-1, several at a time, and waits for all of them. After an error it
// starts no further calls. Calls in flight finish: they are paid for, and a retry finds
// their answers. It returns the error of the lowest number.
func (w *documentWork) each(n int, f func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(w.concurrency)
	var failed atomic.Bool
	errs := make([]error, n)
	for i := range n {
		g.Go(func() error {
			if failed.Load() {
				return nil
			}
			if errs[i] = f(i); errs[i] != nil {
				failed.Store(true)
			}
			return nil
		})
	}
	_ = g.Wait() // errors are in errs
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

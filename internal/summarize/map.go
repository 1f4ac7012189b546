package summarize

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// note is what stands for a part of the document.
type note struct {
	text     string
	tokens   int
	evidence string // sentences of that part, word for word; may be empty
}

// mapChunks reads the document in chunks of at most budget tokens and returns notes in
// its order. Beside an error the notes are those that were planned.
func (j *job) mapChunks(ctx context.Context, budget int) ([]note, error) {
	chunks := split(j.doc.Text, budget, j.count.count)
	parts := make([][]note, len(chunks))
	err := j.each(len(chunks), func(i int) error {
		var err error
		parts[i], err = j.mapChunk(ctx, chunks[i].text(j.doc.Text), min(budget, chunks[i].tokens))
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

// mapChunk returns the notes on a chunk: one, or more where the model's window proved
// too small and the chunk was halved. Halving is by this chunk alone, so that the same
// document gives the same requests in whatever order answers come in.
func (j *job) mapChunk(ctx context.Context, text string, tokens int) ([]note, error) {
	n, err := j.note(ctx, j.chunkRequest(text))
	if err == nil {
		n.evidence, err = j.quote(ctx, text, quotedWords)
		return []note{n}, err
	}
	if !isContextLength(err) || tokens/2 < leastRoom/2 {
		return nil, err
	}
	var notes []note
	for _, c := range split(text, tokens/2, j.count.count) {
		part, err := j.mapChunk(ctx, c.text(text), min(tokens/2, c.tokens))
		if err != nil {
			return nil, err
		}
		notes = append(notes, part...)
	}
	return notes, nil
}

// each runs f for 0 to n-1, some at a time, and waits for all of them. After an error no
// further one is started, but those under way come to their end: they are paid for, and
// a retry will find their answers. The error is that of the lowest number.
func (j *job) each(n int, f func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(j.concurrency)
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

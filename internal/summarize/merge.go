package summarize

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/llm"
)

// reduce merges notes level by level until they fit into one request, and requests the
// summary with them (hierarchical merging: BooookScore, arXiv 2310.00785).
func (w *documentWork) reduce(ctx context.Context, notes []note) (Summary, error) {
	for level := 1; len(notes) > 1 && size(notes) > w.limits.notes; level++ {
		groups := group(notes, w.limits.notes)
		merged := make([]note, len(groups))
		err := w.each(len(groups), func(i int) error {
			var err error
			merged[i], err = w.merge(ctx, groups[i])
			return wrap(err, "merge notes, level %d, %d of %d", level, i+1, len(groups))
		})
		if err != nil {
			return Summary{}, err
		}
		notes = merged
	}
	return w.mergeFinally(ctx, notes)
}

// mergeFinally requests the summary of all notes.
func (w *documentWork) mergeFinally(ctx context.Context, notes []note) (Summary, error) {
	evidence, err := w.evidence(ctx, notes)
	if err != nil {
		return Summary{}, err
	}
	r, err := w.finalRequest(notes, evidence)
	if err != nil {
		return Summary{}, err
	}
	s, err := w.final(ctx, r)
	if isContextLength(err) && len(notes) > 2 {
		halves, err := w.halve(ctx, notes)
		if err != nil {
			return Summary{}, err
		}
		return w.mergeFinally(ctx, halves)
	}
	return s, wrap(err, "summarize %d notes", len(notes))
}

// merge turns several notes into one.
func (w *documentWork) merge(ctx context.Context, notes []note) (note, error) {
	if len(notes) == 1 {
		return notes[0], nil
	}
	evidence, err := w.evidence(ctx, notes)
	if err != nil {
		return note{}, err
	}
	n, err := w.note(ctx, w.mergeRequest(notes, evidence))
	if isContextLength(err) && len(notes) > 2 {
		halves, err := w.halve(ctx, notes)
		if err != nil {
			return note{}, err
		}
		return w.merge(ctx, halves)
	}
	n.evidence = evidence
	return n, err
}

// halve merges each half of three or more notes, for a window that was too small.
func (w *documentWork) halve(ctx context.Context, notes []note) ([]note, error) {
	first, err := w.merge(ctx, notes[:len(notes)/2])
	if err != nil {
		return nil, err
	}
	second, err := w.merge(ctx, notes[len(notes)/2:])
	return []note{first, second}, err
}

// note requests notes. Notes that are far too long, from a model that ignores length and
// cap, are cut at a sentence, so that merging always ends.
func (w *documentWork) note(ctx context.Context, r llm.Request) (note, error) {
	var n note
	_, err := w.ask(ctx, r, "repeat", func(a reply) *problem {
		if n.text = w.clean.clean(a.content); n.text == "" {
			return &problem{forModel: "it is empty", forLedger: "the answer with notes is empty"}
		}
		return w.declined(n.text)
	})
	if err != nil {
		return note{}, err
	}
	n.text = w.shorten(n.text, w.limits.longestNote)
	n.tokens = w.count.count(n.text)
	return n, nil
}

// shorten returns a beginning of s with at most limit tokens.
func (w *documentWork) shorten(s string, limit int) string {
	if w.count.within(s, limit) {
		return s
	}
	first := split(s, limit, w.count.count)[0]
	return strings.TrimSpace(s[:first.end])
}

// size is the size of notes in a request, in tokens.
func size(notes []note) int {
	n := 0
	for _, x := range notes {
		n += x.tokens + perNote
	}
	return n
}

// group divides notes, in order, into as few groups of at most limit tokens as possible,
// and of about equal size. No note is longer than a third of the limit, so every group but
// the last has two or more.
func group(notes []note, limit int) [][]note {
	total := size(notes)
	count := (total + limit - 1) / limit
	aim := total / max(count, 1)
	var groups [][]note
	for len(notes) > 0 {
		n, tokens := 0, 0
		for n < len(notes) && (n == 0 || tokens < aim && tokens+notes[n].tokens+perNote <= limit) {
			tokens += notes[n].tokens + perNote
			n++
		}
		groups = append(groups, notes[:n])
		notes = notes[n:]
	}
	return groups
}

// notesText is the text of a merge request.
func notesText(notes []note, evidence string) string {
	var b strings.Builder
	b.WriteString("Notes on the parts of the document:\n")
	for i, n := range notes {
		fmt.Fprintf(&b, "\n[%d] %s\n", i+1, n.text)
	}
	if evidence != "" {
		b.WriteString("\nSentences quoted from the document:\n\n" + evidence + "\n")
	}
	return b.String()
}

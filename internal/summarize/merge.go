package summarize

import (
	"context"
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/llm"
)

// reduce merges notes level by level until they fit into one request, and asks for the
// summary there (hierarchical merging: BooookScore, arXiv 2310.00785).
func (j *job) reduce(ctx context.Context, notes []note) (Summary, error) {
	for level := 1; len(notes) > 1 && size(notes) > j.limits.notes; level++ {
		groups := group(notes, j.limits.notes)
		merged := make([]note, len(groups))
		err := j.each(len(groups), func(i int) error {
			var err error
			merged[i], err = j.merge(ctx, groups[i])
			return wrap(err, "merge notes, level %d, %d of %d", level, i+1, len(groups))
		})
		if err != nil {
			return Summary{}, err
		}
		notes = merged
	}
	return j.mergeFinally(ctx, notes)
}

// mergeFinally asks for the summary of all notes.
func (j *job) mergeFinally(ctx context.Context, notes []note) (Summary, error) {
	evidence, err := j.evidence(ctx, notes)
	if err != nil {
		return Summary{}, err
	}
	r, err := j.finalRequest(notes, evidence)
	if err != nil {
		return Summary{}, err
	}
	s, err := j.final(ctx, r)
	if isContextLength(err) && len(notes) > 2 {
		halves, err := j.halve(ctx, notes)
		if err != nil {
			return Summary{}, err
		}
		return j.mergeFinally(ctx, halves)
	}
	return s, wrap(err, "summarize %d notes", len(notes))
}

// merge makes one note of several.
func (j *job) merge(ctx context.Context, notes []note) (note, error) {
	if len(notes) == 1 {
		return notes[0], nil
	}
	evidence, err := j.evidence(ctx, notes)
	if err != nil {
		return note{}, err
	}
	n, err := j.note(ctx, j.mergeRequest(notes, evidence))
	if isContextLength(err) && len(notes) > 2 {
		halves, err := j.halve(ctx, notes)
		if err != nil {
			return note{}, err
		}
		return j.merge(ctx, halves)
	}
	n.evidence = evidence
	return n, err
}

// halve merges each half of more than two notes, for a window that proved too small.
func (j *job) halve(ctx context.Context, notes []note) ([]note, error) {
	first, err := j.merge(ctx, notes[:len(notes)/2])
	if err != nil {
		return nil, err
	}
	second, err := j.merge(ctx, notes[len(notes)/2:])
	return []note{first, second}, err
}

// note asks for notes. One that is far longer than asked for, from a model that heeds
// neither words nor cap, is cut at a sentence, so that merging always comes to an end.
func (j *job) note(ctx context.Context, r llm.Request) (note, error) {
	var n note
	_, err := j.ask(ctx, r, "repeat", func(content string) *problem {
		if n.text = j.clean.clean(content); n.text == "" {
			return &problem{forModel: "it is empty", forBooks: "the answer with notes is empty"}
		}
		return nil
	})
	if err != nil {
		return note{}, err
	}
	n.text = j.shorten(n.text, j.limits.longestNote)
	n.tokens = j.count.count(n.text)
	return n, nil
}

// shorten returns the beginning of s that has at most limit tokens.
func (j *job) shorten(s string, limit int) string {
	if j.count.within(s, limit) {
		return s
	}
	first := split(s, limit, j.count.count)[0]
	return strings.TrimSpace(s[:first.end])
}

// size is what notes take in a request, in tokens.
func size(notes []note) int {
	n := 0
	for _, x := range notes {
		n += x.tokens + perNote
	}
	return n
}

// group deals notes out, in order, into as few groups of at most limit tokens as
// possible and about equal ones. No note is longer than a third of the limit, so every
// group but the last has two or more.
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

// notesText is what a merge reads.
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

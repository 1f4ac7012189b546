package summarize

import (
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/llm"
)

// limits divide the model's window, in tokens.
type limits struct {
	window      int // prompt and answer, less reasoning and what token counts may be off by
	wholeInput  int // of a request for the summary itself
	chunk       int // text of a chunk
	notes       int // notes in one merge
	evidence    int // quoted sentences in one merge
	noteOutput  int // cap on the answer to a request for notes
	noteWords   int // length asked for there
	longestNote int // so that at least three fit into a merge
}

const (
	// Tokenizers and providers differ by several percent.
	marginShare = 20
	// What a provider adds to a message and to a request, in tokens.
	messageTokens, requestTokens = 4, 3
	// A number and line ends around a note in a merge.
	perNote = 8
	// A handful of sentences is evidence enough for a summary of some hundred words.
	mostEvidence = 600
)

// plan sets system and limits; the error says that the window is too small.
func (e *caller) plan(window int) error {
	p := e.profile
	l := &e.limits
	// A reasoning model thinks within its output cap, beyond what the answer takes.
	thinking := llm.Request{Model: p.Model, MaxOutputTokens: 1}.OutputCap() - 1
	l.window = window - window/marginShare - thinking
	// An answer that is cut is asked for with a larger cap, and an invalid one is sent
	// back: some room is kept for either.
	input := func(output int) int { return l.window - output - min(output+200, window/8) }
	l.wholeInput = input(p.MaxOutputTokens)
	l.noteOutput, l.noteWords = min(p.MaxOutputTokens, 2*p.Words+100), p.Words
	if err := e.renderSystems(); err != nil {
		return err
	}
	// With the longest title; a template may fail on this one and not on others.
	title := strings.Repeat("title ", titleBytes/6)
	j := &job{caller: e, doc: e.user.uses.restrict(Document{Title: title, URI: title})}
	final, err := j.finalRequest(nil, "")
	if err != nil {
		return err
	}
	// An answer with notes is not longer than the summary, so merging on the way has as
	// much room as at the end.
	room := l.wholeInput - max(estimate(final), estimate(j.mergeRequest(nil, "")))
	l.evidence = min(mostEvidence, room/5)
	l.notes = room - l.evidence
	l.longestNote = l.notes/3 - perNote
	l.noteOutput = min(l.noteOutput, l.longestNote)
	l.noteWords = min(p.Words, l.noteOutput*2/5)
	l.chunk = input(l.noteOutput) - estimate(j.chunkRequest(""))
	if min(room, l.chunk) < leastRoom {
		return fmt.Errorf("a context window of %d tokens leaves no room for text beside the prompt and an answer of %d tokens: "+
			"raise context-tokens, lower max-output-tokens, or shorten prompt and schema", window, p.MaxOutputTokens)
	}
	return e.renderSystems()
}

// systems are the system messages. Nothing of a document is in them: they cannot be
// turned by one, and the beginning of all requests stays the same for the provider's
// prompt cache.
type systems struct{ whole, final, chunk, merge string }

func (e *caller) renderSystems() error {
	guard, err := e.prompts.render("guard", nil)
	if err != nil {
		return err
	}
	format, err := e.prompts.render("format", map[string]any{"Schema": string(e.schema.raw)})
	if err != nil {
		return err
	}
	fromNotes, err := e.prompts.render("fromnotes", nil)
	if err != nil {
		return err
	}
	name := "summarize"
	if e.user.tmpl != nil {
		name = "instructed"
	}
	fields := ""
	if e.schema.custom {
		fields = string(e.schema.raw)
	}
	notes := map[string]any{"Guard": guard, "Words": e.limits.noteWords, "Instruction": e.user.goal(e.profile.Prompt), "Fields": fields}
	for _, m := range []struct {
		to   *string
		name string
		data map[string]any
	}{
		{&e.system.whole, name, map[string]any{"Guard": guard, "Words": e.profile.Words, "Format": format}},
		{&e.system.final, name, map[string]any{"Guard": guard, "Words": e.profile.Words, "Format": fromNotes + "\n\n" + format}},
		{&e.system.chunk, "chunk", notes},
		{&e.system.merge, "merge", notes},
	} {
		if *m.to, err = e.prompts.render(m.name, m.data); err != nil {
			return err
		}
	}
	return nil
}

// request has what all requests of the profile share.
func (e *caller) request(system, user string, output int) llm.Request {
	return llm.Request{
		Model:           e.profile.Model,
		Messages:        []llm.Message{{Role: llm.RoleSystem, Content: system}, {Role: llm.RoleUser, Content: user}},
		MaxOutputTokens: output,
		Temperature:     e.profile.Temperature,
	}
}

// wholeRequest asks for the summary of a document that is read at once.
func (j *job) wholeRequest() (llm.Request, error) { return j.summaryRequest(j.system.whole, j.doc) }

// finalRequest asks for the summary of a document that notes stand for.
func (j *job) finalRequest(notes []note, evidence string) (llm.Request, error) {
	d := j.doc
	d.Text = notesText(notes, evidence)
	return j.summaryRequest(j.system.final, d)
}

func (j *job) summaryRequest(system string, d Document) (llm.Request, error) {
	var user string
	if j.user.tmpl == nil {
		user = material(d.Title, d.Text, j.prompts.taskSummary)
	} else {
		var err error
		if user, err = j.user.render(d); err != nil {
			return llm.Request{}, err
		}
		if !j.user.uses.text {
			user += "\n\n" + block(d.Text).String()
		}
	}
	r := j.request(system, user, j.profile.MaxOutputTokens)
	r.Schema, r.SchemaName = j.schema.raw, "summary"
	return r, nil
}

// chunkRequest asks for notes on a part of the document. It does not say which part, so
// that equal parts of two versions of a document are one request.
func (j *job) chunkRequest(text string) llm.Request {
	return j.request(j.system.chunk, material(j.doc.Title, text, j.prompts.taskNotes), j.limits.noteOutput)
}

// mergeRequest asks for one set of notes in the place of several.
func (j *job) mergeRequest(notes []note, evidence string) llm.Request {
	return j.request(j.system.merge, material(j.doc.Title, notesText(notes, evidence), j.prompts.taskNotes), j.limits.noteOutput)
}

// tokens counts what a request sends, with what providers add around it.
func (e *caller) tokens(r llm.Request) int {
	n := requestTokens + e.count.count(string(r.Schema))
	for _, m := range r.Messages {
		n += messageTokens + e.count.count(m.Content)
	}
	return n
}

// estimate is tokens without a vocabulary, for prose on the high side. Vocabularies take
// time and memory to load, and most runs never need one.
func estimate(r llm.Request) int {
	n := requestTokens + llm.EstimateTokens(string(r.Schema))
	for _, m := range r.Messages {
		n += messageTokens + llm.EstimateTokens(m.Content)
	}
	return n
}

// fits reports whether a request has at most limit tokens. It counts only where the
// length and the estimate leave that open; text that has more tokens than estimated (keys,
// random characters) finds the window too small when it is sent, and is read in chunks.
func (e *caller) fits(r llm.Request, limit int) bool {
	n := requestTokens + len(r.Schema)
	for _, m := range r.Messages {
		n += messageTokens + len(m.Content)
	}
	return n <= limit || estimate(r) <= limit || e.tokens(r) <= limit
}

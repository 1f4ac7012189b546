package summarize

import (
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/text"
)

// limits divide the model's window. All but noteWords are in tokens.
type limits struct {
	total       int // prompt, thought and answer, without a margin for token counts
	window      int // prompt and answer
	wholeInput  int // of a request for the summary itself
	chunk       int // text of a chunk
	notes       int // notes in one merge
	evidence    int // quoted sentences in one merge
	noteOutput  int // cap on the answer to a request for notes
	noteWords   int // length requested there, in words
	longestNote int // so that at least three fit into a merge
}

const (
	// Token counts of tokenizers and providers differ by several percent.
	marginShare = 20
	// Tokens that a provider adds to a message and to a request.
	messageTokens, requestTokens = 4, 3
	// Tokens of the number and the line ends around a note in a merge.
	perNote = 8
	// A few sentences are enough evidence for a summary of some hundred words.
	mostEvidence = 600
)

// plan sets the system messages and the limits. It fails if the window is too small.
func (e *modelEngine) plan(window int) error {
	p := e.profile
	l := &e.limits
	// The output cap includes the model's thought, which takes at most half of the window.
	l.total = window - window/marginShare
	l.window = l.total - min(e.thinking, l.total/2)
	// A cut answer is requested again with a larger cap, and an invalid one is sent back.
	// Both need some room.
	input := func(output int) int { return l.window - output - min(output+200, window/8) }
	l.wholeInput = input(p.MaxOutputTokens)
	l.noteOutput, l.noteWords = min(p.MaxOutputTokens, 2*p.Words+100), p.Words
	if err := e.renderSystems(); err != nil {
		return err
	}
	// Plan with the longest title. A template may fail on it and not on others.
	title := strings.Repeat("title ", titleBytes/6)
	w, err := e.workOn(e.user.uses.restrict(Document{Title: title, URI: title}))
	if err != nil {
		return err
	}
	final, err := w.finalRequest(nil, "")
	if err != nil {
		return err
	}
	// Notes are not longer than the summary, so an intermediate merge has as much room as
	// the final one.
	room := l.wholeInput - max(estimate(final), estimate(w.mergeRequest(nil, "")))
	l.evidence = min(mostEvidence, room/5)
	l.notes = room - l.evidence
	l.longestNote = l.notes/3 - perNote
	l.noteOutput = min(l.noteOutput, l.longestNote)
	l.noteWords = min(p.Words, l.noteOutput*2/5)
	l.chunk = input(l.noteOutput) - estimate(w.chunkRequest(""))
	if min(room, l.chunk) < leastRoom {
		return fmt.Errorf("a context window of %d tokens has no room for text beside the prompt and an answer of %d tokens: "+
			"raise context-tokens, lower max-output-tokens, or shorten prompt and schema", window, p.MaxOutputTokens)
	}
	return e.renderSystems()
}

// systems are the system messages. They contain nothing of a document, so a document cannot
// change them, and all requests begin with the same text for the provider's prompt cache.
type systems struct{ whole, final, chunk, merge string }

func (e *modelEngine) renderSystems() error {
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
	language := ""
	if e.profile.Language != "" {
		language = text.LanguageName(e.profile.Language)
	}
	notes := map[string]any{"Guard": guard, "Language": language, "Words": e.limits.noteWords, "Instruction": e.user.goal(e.profile.Prompt), "Fields": fields}
	for _, m := range []struct {
		to   *string
		name string
		data map[string]any
	}{
		{&e.system.whole, name, map[string]any{"Guard": guard, "Language": language, "Words": e.profile.Words, "Format": format}},
		{&e.system.final, name, map[string]any{"Guard": guard, "Language": language, "Words": e.profile.Words, "Format": fromNotes + "\n\n" + format}},
		{&e.system.chunk, "chunk", notes},
		{&e.system.merge, "merge", notes},
	} {
		if *m.to, err = e.prompts.render(m.name, m.data); err != nil {
			return err
		}
	}
	return nil
}

// request sets what all requests of the profile have in common.
func (e *modelEngine) request(system, user string, output int) llm.Request {
	return llm.Request{
		Model:           e.profile.Model,
		Messages:        []llm.Message{{Role: llm.RoleSystem, Content: system}, {Role: llm.RoleUser, Content: user}},
		MaxOutputTokens: output,
		Temperature:     e.profile.Temperature,
		Effort:          e.profile.ReasoningEffort,
		Extra:           e.profile.RequestExtra,
		Headroom:        e.thinking,
	}
}

// wholeRequest requests the summary of a document that is read at once.
func (w *documentWork) wholeRequest() (llm.Request, error) {
	return w.summaryRequest(w.system.whole, w.doc)
}

// finalRequest requests the summary of a document from its notes.
func (w *documentWork) finalRequest(notes []note, evidence string) (llm.Request, error) {
	d := w.doc
	d.Text = notesText(notes, evidence)
	return w.summaryRequest(w.system.final, d)
}

func (w *documentWork) summaryRequest(system string, d Document) (llm.Request, error) {
	var user string
	if w.user.tmpl == nil {
		user = material(d.Title, d.Text, w.tasks.summary)
	} else {
		var err error
		if user, err = w.user.render(d); err != nil {
			return llm.Request{}, err
		}
		if !w.user.uses.text {
			user += "\n\n" + block(d.Text).String()
		}
		if w.tasks.instructed != "" {
			user += "\n\n" + w.tasks.instructed
		}
	}
	r := w.request(system, user, w.profile.MaxOutputTokens)
	r.Schema, r.SchemaName = w.schema.raw, "summary"
	return r, nil
}

// chunkRequest requests notes on a part of the document. It does not name the part, so that
// equal parts of two versions of a document give the same request.
func (w *documentWork) chunkRequest(text string) llm.Request {
	return w.request(w.system.chunk, material(w.doc.Title, text, w.tasks.notes), w.limits.noteOutput)
}

// mergeRequest requests one set of notes from several.
func (w *documentWork) mergeRequest(notes []note, evidence string) llm.Request {
	return w.request(w.system.merge, material(w.doc.Title, notesText(notes, evidence), w.tasks.notes), w.limits.noteOutput)
}

// tokens counts the tokens of a request, including those that providers add.
func (e *modelEngine) tokens(r llm.Request) int {
	n := requestTokens + e.count.count(string(r.Schema))
	for _, m := range r.Messages {
		n += messageTokens + e.count.count(m.Content)
	}
	return n
}

// estimate is like tokens, without a vocabulary. For prose it is too high rather than too
// low. Vocabularies take time and memory to load, and most runs never need one.
func estimate(r llm.Request) int {
	n := requestTokens + llm.EstimateTokens(string(r.Schema))
	for _, m := range r.Messages {
		n += messageTokens + llm.EstimateTokens(m.Content)
	}
	return n
}

// fits reports whether a request has at most limit tokens. It counts tokens only if length
// and estimate do not decide it. Text with more tokens than estimated (keys, random
// characters) exceeds the window when it is sent, and is then read in chunks.
func (e *modelEngine) fits(r llm.Request, limit int) bool {
	n := requestTokens + len(r.Schema)
	for _, m := range r.Messages {
		n += messageTokens + len(m.Content)
	}
	return n <= limit || estimate(r) <= limit || e.tokens(r) <= limit
}

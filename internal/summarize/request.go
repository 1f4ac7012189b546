package summarize

import (
	"fmt"
	"strings"

	"github.com/gistmill/gistmill/internal/llm"
)

// limits divide the model's window, in tokens.
type limits struct {
	window      int // prompt and answer, less what token counts may be off by
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

// plan works the limits out; the error says that the window is too small.
func (e *caller) plan(window int) (limits, error) {
	p := e.profile
	l := limits{window: window - window/marginShare}
	// An answer that is cut is asked for with a larger cap, and an invalid one is sent
	// back: some room is kept for either.
	input := func(output int) int { return l.window - output - min(output+200, window/8) }
	overhead := func(build func(*job) (llm.Request, error)) (int, error) {
		d := Document{Title: strings.Repeat("title ", titleBytes/6)}
		j := &job{caller: e, doc: e.user.uses.restrict(d)}
		if e.user.tmpl != nil {
			j.goal, _ = e.user.render(d)
		}
		r, err := build(j)
		return e.tokens(r), err
	}
	l.wholeInput = input(p.MaxOutputTokens)
	l.noteOutput, l.noteWords = min(p.MaxOutputTokens, 2*p.Words+100), p.Words
	e.limits = l
	final, err := overhead(func(j *job) (llm.Request, error) { return j.finalRequest(nil, "") })
	if err != nil {
		return l, err
	}
	merge, err := overhead(func(j *job) (llm.Request, error) { return j.mergeRequest(nil, "") })
	if err != nil {
		return l, err
	}
	chunk, err := overhead(func(j *job) (llm.Request, error) { return j.chunkRequest("") })
	if err != nil {
		return l, err
	}
	// An answer with notes is not longer than the summary, so merging on the way has as
	// much room as at the end.
	room := l.wholeInput - max(final, merge)
	l.evidence = min(mostEvidence, room/5)
	l.notes = room - l.evidence
	l.longestNote = l.notes/3 - perNote
	l.noteOutput = min(l.noteOutput, l.longestNote)
	l.noteWords = min(p.Words, l.noteOutput*2/5)
	l.chunk = input(l.noteOutput) - chunk
	if min(room, l.chunk) < leastRoom {
		return l, fmt.Errorf("a context window of %d tokens leaves no room for text beside the prompt and an answer of %d tokens: "+
			"raise context-tokens, lower max-output-tokens, or shorten prompt and schema", window, p.MaxOutputTokens)
	}
	return l, nil
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
func (j *job) wholeRequest() (llm.Request, error) { return j.summaryRequest(j.doc, "") }

// finalRequest asks for the summary of a document that notes stand for.
func (j *job) finalRequest(notes []note, evidence string) (llm.Request, error) {
	about, err := j.prompts.render("fromnotes", nil)
	if err != nil {
		return llm.Request{}, err
	}
	return j.summaryRequest(Document{URI: j.doc.URI, Title: j.doc.Title, Text: notesText(notes, evidence)}, about)
}

func (j *job) summaryRequest(d Document, about string) (llm.Request, error) {
	format, err := j.prompts.render("format", map[string]any{"Schema": string(j.schema.raw)})
	if err != nil {
		return llm.Request{}, err
	}
	if about != "" {
		format = about + "\n\n" + format
	}
	name := "summarize"
	if j.user.tmpl != nil {
		name = "instructed"
	}
	system, err := j.system(name, map[string]any{"Words": j.profile.Words, "Format": format})
	if err != nil {
		return llm.Request{}, err
	}
	var user string
	switch {
	case j.user.tmpl == nil:
		user, err = j.material(d, taskSummarize)
	case j.user.uses.text:
		user, err = j.user.render(d)
	default:
		user, err = j.user.render(d)
		user += "\n\n" + block(d.Text).String()
	}
	if err != nil {
		return llm.Request{}, err
	}
	r := j.request(system, user, j.profile.MaxOutputTokens)
	r.Schema, r.SchemaName = j.schema.raw, "summary"
	return r, nil
}

// chunkRequest asks for notes on a part of the document. It does not say which part, so
// that equal parts of two versions of a document are one request.
func (j *job) chunkRequest(text string) (llm.Request, error) {
	return j.notesRequest("chunk", text)
}

// mergeRequest asks for one set of notes in the place of several.
func (j *job) mergeRequest(notes []note, evidence string) (llm.Request, error) {
	return j.notesRequest("merge", notesText(notes, evidence))
}

func (j *job) notesRequest(name, text string) (llm.Request, error) {
	data := map[string]any{"Words": j.limits.noteWords, "Instruction": j.goal, "Fields": ""}
	if j.schema.custom {
		data["Fields"] = string(j.schema.raw)
	}
	system, err := j.system(name, data)
	if err != nil {
		return llm.Request{}, err
	}
	user, err := j.material(Document{Title: j.doc.Title, Text: text}, taskNotes)
	return j.request(system, user, j.limits.noteOutput), err
}

// system renders a built-in instruction with the guard in it. Nothing of the document
// is in there unless the user's prompt puts it there: the beginning of all requests
// stays the same, for the provider's prompt cache.
func (j *job) system(name string, data map[string]any) (string, error) {
	guard, err := j.prompts.render("guard", nil)
	if err != nil {
		return "", err
	}
	data["Guard"] = guard
	return j.prompts.render(name, data)
}

func (j *job) material(d Document, task string) (string, error) {
	return j.prompts.render("document", map[string]any{"Title": d.Title, "Block": block(d.Text).String(), "Task": task})
}

// tokens counts what a request sends, with what providers add around it.
func (e *caller) tokens(r llm.Request) int {
	n := requestTokens + e.count.count(string(r.Schema))
	for _, m := range r.Messages {
		n += messageTokens + e.count.count(m.Content)
	}
	return n
}

// fits reports whether a request has at most limit tokens. Short ones need no tokenizer.
func (e *caller) fits(r llm.Request, limit int) bool {
	n := requestTokens + len(r.Schema)
	for _, m := range r.Messages {
		n += messageTokens + len(m.Content)
	}
	return n <= limit || e.tokens(r) <= limit
}

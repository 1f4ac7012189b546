package summarize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/llm"
	"github.com/gistmill/gistmill/internal/text"
)

// modelEngine is the engine that calls a model.
type modelEngine struct {
	profile Profile
	options
	count   counter
	prompts prompts
	user    *instruction
	schema  *answerSchema
	system  systems
	limits  limits
}

const (
	// leastRoom is the room for text in a request, in tokens. With less, the prompts cost
	// more than the text, and a chunk is not halved further.
	leastRoom = 128
	// The longest title and URI in a prompt, in bytes.
	titleBytes, uriBytes = 300, 500
)

func newModelEngine(p Profile, window int, o options) (*modelEngine, error) {
	e := &modelEngine{profile: p, options: o, count: counter(o.count)}
	if e.count == nil {
		e.count = llm.TokenizerFor(p.Model).Count
	}
	var err error
	if e.prompts, err = loadPrompts(p.promptVersion()); err != nil {
		return nil, err
	}
	if e.user, err = parseTemplate(p.Prompt); err != nil {
		return nil, fmt.Errorf("prompt: %w", err)
	}
	if e.schema, err = compileSchema(p.Schema); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	if err = e.plan(window); err != nil {
		return nil, err
	}
	return e, nil
}

// Summarize implements Engine.
func (e *modelEngine) Summarize(ctx context.Context, calls Completer, d Document) (Summary, error) {
	if calls == nil {
		return Summary{}, fmt.Errorf("model %s needs an endpoint to call", e.profile.Model)
	}
	w, err := e.work(d)
	if err != nil {
		return Summary{}, err
	}
	w.calls = calls
	s, err := w.summarize(ctx)
	s.Usage = w.usage
	if err != nil {
		return Summary{Usage: w.usage, Chunks: s.Chunks}, err
	}
	s.Findings = w.check(s)
	return s, nil
}

// documentWork is the work on one document.
type documentWork struct {
	*modelEngine
	calls Completer // nil for an estimate
	doc   Document  // cleaned, without the fields that the profile does not use
	clean cleaner
	// language is the name of the language of the answers; empty: not known.
	language string
	tasks    tasks

	mu    sync.Mutex
	usage llm.Usage
}

func (e *modelEngine) work(d Document) (*documentWork, error) {
	d = Document{Title: oneLine(d.Title, titleBytes), URI: oneLine(d.URI, uriBytes), Text: strings.TrimSpace(cleanSource(d.Text))}
	if d.Text == "" {
		return nil, ErrNoText
	}
	if n := text.CountWords(d.Text, e.minWords); n < e.minWords {
		return nil, &ShortError{Words: n, Least: e.minWords}
	}
	return e.workOn(e.user.uses.restrict(d))
}

// workOn prepares the work on a document that is cleaned. A document names the language of its
// answers if the profile does not.
func (e *modelEngine) workOn(d Document) (w *documentWork, err error) {
	w = &documentWork{modelEngine: e, doc: d, clean: cleaner{d}}
	tag := e.profile.Language
	if tag == "" && e.profile.promptVersion() != PromptV1 {
		tag = checks.DetectLanguage(d.Text)
	}
	if tag != "" {
		w.language = text.LanguageName(tag)
	}
	w.tasks, err = e.prompts.tasks(w.language, e.profile.Language != "")
	return w, err
}

func (w *documentWork) summarize(ctx context.Context) (Summary, error) {
	r, err := w.wholeRequest()
	if err != nil {
		return Summary{}, err
	}
	budget := w.limits.chunk
	if w.fits(r, w.limits.wholeInput) {
		s, err := w.final(ctx, r)
		if !isContextLength(err) {
			s.Chunks = 1
			return s, wrap(err, "summarize the document")
		}
		// The window is smaller than configured.
		if budget = min(budget, w.smaller(err, w.count.count(w.doc.Text))); budget < leastRoom/2 {
			return Summary{Chunks: 1}, wrap(err, "summarize the document")
		}
	}
	notes, err := w.mapChunks(ctx, budget)
	if err != nil {
		return Summary{Chunks: len(notes)}, err
	}
	s, err := w.reduce(ctx, notes)
	s.Chunks = len(notes)
	return s, err
}

// final requests the summary itself.
func (w *documentWork) final(ctx context.Context, r llm.Request) (Summary, error) {
	var s Summary
	resp, err := w.ask(ctx, r, "repair", func(a reply) *problem {
		object, p := w.schema.object(a)
		switch {
		case p == nil:
			s.Text, s.Output, p = w.schema.summary(object, w.clean, a.cap)
		case a.last && !w.schema.custom:
			s.Text, p = w.plainSummary(a, p)
		}
		return p
	})
	if err == nil {
		s.Model, s.Endpoint = w.answeredBy(resp), resp.Endpoint
	}
	return s, err
}

func isContextLength(err error) bool {
	var e *llm.Error
	return errors.As(err, &e) && e.Class == llm.ContextLength
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

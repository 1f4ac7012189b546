package summarize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gistmill/gistmill/internal/llm"
)

// caller is the engine that asks a model.
type caller struct {
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
	// leastRoom in tokens for text in a request; below it a summary is not worth its
	// prompts, and a chunk is not halved any more.
	leastRoom = 128
	// Longest title and address in a prompt, in bytes.
	titleBytes, uriBytes = 300, 500
)

func newCaller(p Profile, window int, o options) (*caller, error) {
	e := &caller{profile: p, options: o, count: counter(o.count)}
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
func (e *caller) Summarize(ctx context.Context, calls Completer, d Document) (Summary, error) {
	if calls == nil {
		return Summary{}, fmt.Errorf("model %s needs an endpoint to call", e.profile.Model)
	}
	j, err := e.job(d)
	if err != nil {
		return Summary{}, err
	}
	j.calls = calls
	s, err := j.summarize(ctx)
	s.Usage = j.usage
	if err != nil {
		return Summary{Usage: j.usage, Chunks: s.Chunks}, err
	}
	s.Findings = j.check(s)
	return s, nil
}

// job is the work on one document.
type job struct {
	*caller
	calls Completer // nil for an estimate
	doc   Document  // clean, and without what the profile does not use
	clean cleaner

	mu    sync.Mutex
	usage llm.Usage
}

func (e *caller) job(d Document) (*job, error) {
	d = Document{Title: oneLine(d.Title, titleBytes), URI: oneLine(d.URI, uriBytes), Text: strings.TrimSpace(cleanSource(d.Text))}
	if d.Text == "" {
		return nil, ErrNoText
	}
	d = e.user.uses.restrict(d)
	return &job{caller: e, doc: d, clean: cleaner{d}}, nil
}

func (j *job) summarize(ctx context.Context) (Summary, error) {
	r, err := j.wholeRequest()
	if err != nil {
		return Summary{}, err
	}
	budget := j.limits.chunk
	if j.fits(r, j.limits.wholeInput) {
		s, err := j.final(ctx, r)
		if !isContextLength(err) {
			s.Chunks = 1
			return s, wrap(err, "summarize the document")
		}
		// The window is smaller than we were told.
		if budget = min(budget, j.count.count(j.doc.Text)/2); budget < leastRoom/2 {
			return Summary{Chunks: 1}, wrap(err, "summarize the document")
		}
	}
	notes, err := j.mapChunks(ctx, budget)
	if err != nil {
		return Summary{Chunks: len(notes)}, err
	}
	s, err := j.reduce(ctx, notes)
	s.Chunks = len(notes)
	return s, err
}

// final asks for the summary itself.
func (j *job) final(ctx context.Context, r llm.Request) (Summary, error) {
	var s Summary
	resp, err := j.ask(ctx, r, "repair", func(content string) *problem {
		object, p := j.schema.object(content)
		if p == nil {
			s.Text, s.Output, p = j.schema.summary(object, j.clean)
		}
		return p
	})
	if err == nil {
		s.Model, s.Endpoint = j.answeredBy(resp), resp.Endpoint
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

// Package summarize turns the text of one document into its summary.
//
// It owns the profile and the names of summaries, the prompts, the way a document that does
// not fit a model's window is split, mapped and merged, the validation of an answer against
// its schema, and the cleaning of documents and answers.
//
// It refuses to own how a call is made, limited or paid for (internal/llm), where
// results are kept and when a document is tried again (worker, internal/ledger), how
// sentences are found and ranked (internal/extractive), and how a summary is compared
// with its document (internal/checks).
package summarize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gistmill/gistmill/internal/checks"
	"github.com/gistmill/gistmill/internal/llm"
)

// Document is the text of a document. Title is its own title, URI the place where it was
// found.
type Document struct{ URI, Title, Text string }

// Summary is the result for one document.
type Summary struct {
	// Text is the summary for people, never empty on success.
	Text string
	// Output is the whole answer, one JSON object, if the profile has a Schema; else nil.
	Output json.RawMessage
	// Model is the model that answered, as the endpoint names it.
	Model string
	// Endpoint is the host that answered.
	Endpoint string
	// Usage is the sum over all calls, including failed and repeated ones. It is also set
	// when an error is returned.
	Usage llm.Usage
	// Chunks is the number of chunks that were read; 1 if the document was read whole.
	Chunks int
	// Findings are what the checks found. The extractive engine has none, because its
	// sentences are the document's.
	Findings []checks.Finding
}

// Completer answers requests. Equal documents and profiles give byte-equal requests, so a
// Completer may store answers by [llm.Request.Name] and return them again: a retry then
// pays only for what is missing. It must be safe for concurrent use.
type Completer interface {
	Complete(ctx context.Context, r llm.Request) (llm.Response, error)
}

// Engine summarizes documents. It is safe for concurrent use and keeps no state between
// documents.
type Engine interface {
	// Summarize returns the summary of d and sends its requests to calls. The extractive
	// engine sends none, and calls may be nil. Errors are an [*OutputError], [ErrNoText], a
	// [*ShortError], the error of a template that fails on this document, or an error of the
	// Completer, wrapped.
	Summarize(ctx context.Context, calls Completer, d Document) (Summary, error)
	// Estimate returns, without a call, how many calls d needs, how many tokens they send,
	// and how many they can return at most. It is exact for a document that is read whole,
	// and an upper bound otherwise. It does not include repeats of a cut or invalid answer.
	Estimate(d Document) (calls, tokensIn, tokensOutMax int)
}

// ErrNoText reports a document that has only white space and invisible characters.
var ErrNoText = errors.New("the document has no text")

// ShortError reports a document that has fewer words than [WithMinWords] asks for. No call was
// made for it.
type ShortError struct{ Words, Least int }

func (e *ShortError) Error() string {
	number := "no words"
	switch {
	case e.Words == 1:
		number = "1 word"
	case e.Words > 1:
		number = fmt.Sprintf("%d words", e.Words)
	}
	return fmt.Sprintf("%s after extraction, and min-words is %d", number, e.Least)
}

// Classes of an OutputError, named as in the ledger.
const (
	OutputTooLong = "output_too_long"
	BadOutput     = "bad_output"
	Refused       = "refused" // the model declined in words
)

// OutputError reports that the model answered twice and that neither answer can be used.
type OutputError struct {
	Class   string // OutputTooLong, BadOutput or Refused
	Message string // what is wrong; it holds no text of the document or the answer
	// Requests are the names of the requests whose answers cannot be used. A Completer that
	// stores answers must drop these before the document is tried again, or the same
	// request gets the same answer.
	Requests []string
}

func (e *OutputError) Error() string { return e.Message }

// Option changes a default of [New].
type Option func(*options)

type options struct {
	concurrency int
	minWords    int
	count       func(string) int
	thinking    int
}

// WithConcurrency bounds the calls in flight for one document; the default is 4.
func WithConcurrency(n int) Option { return func(o *options) { o.concurrency = max(n, 1) } }

// WithMinWords makes no call for a document with fewer words, as text.CountWords counts them;
// the default is 0. It has no effect on the extractive engine.
func WithMinWords(n int) Option { return func(o *options) { o.minWords = n } }

// WithThinking sets the tokens of the window that are kept for the model's thought. Without it the
// model's name decides ([llm.GuessHeadroom]). Take one of few values ([llm.Endpoints.Headroom]): a
// document is split by it, and requests of another split have other names.
func WithThinking(tokens int) Option { return func(o *options) { o.thinking = max(tokens, 0) } }

// WithCounter replaces the tokenizer of the profile's model. The counter must not return
// more tokens than the text has bytes. This holds for every byte-level vocabulary.
func WithCounter(count func(string) int) Option { return func(o *options) { o.count = count } }

// New returns the engine for p. contextTokens is the context window of the model, for prompt
// and answer together ([llm.Prices] has those of many models). The extractive engine needs
// none.
func New(p Profile, contextTokens int, opts ...Option) (Engine, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if p.Model == Extractive {
		return extractiveEngine{words: p.Words}, nil
	}
	o := options{concurrency: 4, thinking: llm.GuessHeadroom(p.Model)}
	for _, set := range opts {
		set(&o)
	}
	return newModelEngine(p, contextTokens, o)
}

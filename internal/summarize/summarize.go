// Package summarize turns the text of one document into its summary.
//
// It owns the profile (what is asked for, and the name of an answer), the prompts,
// the way a document is cut, mapped and merged when it does not fit a model's window,
// the check of an answer against its schema, and the cleaning of text on its way out
// and in.
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

// Document is the clean text of a document. Title is what the document says of itself,
// URI where it was found.
type Document struct{ URI, Title, Text string }

// Summary is the result for one document.
type Summary struct {
	// Text is the summary for people, never empty on success.
	Text string
	// Output is the whole answer, one JSON object, when the profile has a schema of its
	// own; else nil.
	Output json.RawMessage
	// Model is who answered, as the endpoint names it.
	Model string
	// Endpoint is the host that answered.
	Endpoint string
	// Usage adds up what all calls reported, failed and repeated ones included. It is
	// also set beside an error.
	Usage llm.Usage
	// Chunks is the number of parts the document was read in; 1 when it was read whole.
	Chunks int
	// Findings are what to look at in the summary. The built-in engine has none: its sentences stand in the document.
	Findings []checks.Finding
}

// Completer answers requests. Equal input gives byte for byte equal requests, so it may
// keep answers by Request.Name and give them again: a retry then pays only for what is
// missing. It is called from several goroutines at once.
type Completer interface {
	Complete(ctx context.Context, r llm.Request) (llm.Response, error)
}

// Engine summarizes documents. It is safe for concurrent use and keeps nothing between
// two documents.
type Engine interface {
	// Summarize returns the summary of d, asking calls. The built-in model Extractive asks
	// nothing, and calls may be nil. Errors are *OutputError, ErrNoText, a template that
	// fails on this document, or what the Completer returned, wrapped.
	Summarize(ctx context.Context, calls Completer, d Document) (Summary, error)
	// Estimate says, without a call, how many calls d needs, how many tokens they
	// carry, and how many they can bring back at most. It is exact for a document that
	// is read whole and an upper bound otherwise; repeats of a cut or invalid answer
	// are not in it.
	Estimate(d Document) (calls, tokensIn, tokensOutMax int)
}

// ErrNoText says that nothing is left of a document once invisible characters and
// space are gone.
var ErrNoText = errors.New("the document has no text")

// Classes of an OutputError, named as in the ledger.
const (
	OutputTooLong = "output_too_long"
	BadOutput     = "bad_output"
)

// OutputError says that the model answered, twice, and that the answer is of no use.
type OutputError struct {
	Class   string // OutputTooLong or BadOutput
	Message string // says what is wrong; never holds text of the document or the answer
	// Requests are the names of the calls whose answers were of no use. Who keeps
	// answers by name has to drop these before the document is tried again: the same
	// request would be given the same bad answer for ever.
	Requests []string
}

func (e *OutputError) Error() string { return e.Message }

// Option sets what has a default.
type Option func(*options)

type options struct {
	concurrency int
	count       func(string) int
}

// WithConcurrency bounds the calls in flight for one document; the default is 4.
func WithConcurrency(n int) Option { return func(o *options) { o.concurrency = max(n, 1) } }

// WithCounter replaces the tokenizer of the profile's model. It must never count more
// tokens than the text has bytes, which holds for every byte-level vocabulary.
func WithCounter(count func(string) int) Option { return func(o *options) { o.count = count } }

// New returns the engine for p. contextTokens is the window of the model, prompt and
// answer together (llm.Prices knows those of many models). The built-in model Extractive
// needs none.
func New(p Profile, contextTokens int, opts ...Option) (Engine, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if p.Model == Extractive {
		return extractor{words: p.Words}, nil
	}
	o := options{concurrency: 4}
	for _, set := range opts {
		set(&o)
	}
	return newCaller(p, contextTokens, o)
}

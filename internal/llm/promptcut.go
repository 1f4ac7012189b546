package llm

import (
	"fmt"
	"log/slog"
	"sync"
)

const (
	// suspiciousBytesPerToken is the number of prompt bytes per reported token above which the
	// prompt is counted. Text in Latin script has 4 to 5.
	suspiciousBytesPerToken = 6
	// cutRatio is the ratio of counted to reported tokens above which the prompt was cut. Tokenizers
	// differ by some tens of percent.
	cutRatio = 1.4
	// cutMinTokens is the smallest reported prompt that is checked. Below it the ratio is noise.
	cutMinTokens = 512
)

// promptCut recognizes a prompt that the endpoint cut without an error. Ollama keeps what fits
// into num_ctx (4096 tokens by default), drops the rest of the document, and answers 200 (ollama
// issues 4967 and 3839). The usage that it reports shows the cut. The answer would be the summary
// of a part. Class ContextLength makes the caller send smaller chunks.
func (c *Client) promptCut(r Request, usage *Usage) *Error {
	u := *usage
	if u.In < cutMinTokens {
		return nil
	}
	size := 0
	for _, m := range r.Messages {
		size += len(m.Content)
	}
	if size < suspiciousBytesPerToken*u.In {
		return nil
	}
	counted := TokenizerFor(r.Model).countMessages(r.Messages)
	if float64(counted) < cutRatio*float64(u.In) {
		return nil
	}
	if c.warned.first(r.Model) {
		c.cfg.Logger.Warn("endpoint cuts long prompts silently, raise its context (Ollama: OLLAMA_CONTEXT_LENGTH) or set --context-tokens to it",
			slog.String("endpoint", c.Host()), slog.String("model", r.Model),
			slog.Int("tokens_sent", counted), slog.Int("tokens_read", u.In))
	}
	return &Error{
		Class:   ContextLength,
		Status:  200,
		Code:    "prompt_cut",
		Message: fmt.Sprintf("the endpoint read %d tokens of a prompt of about %d: its context is smaller than the prompt", u.In, counted),
		Usage:   u,
	}
}

// warnings remembers which warnings were given.
type warnings struct {
	mu   sync.Mutex
	seen map[string]bool
}

// first reports whether a warning is given for the first time.
func (w *warnings) first(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen[what] {
		return false
	}
	if w.seen == nil {
		w.seen = make(map[string]bool)
	}
	w.seen[what] = true
	return true
}

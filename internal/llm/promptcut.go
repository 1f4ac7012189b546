package llm

import (
	"fmt"
	"log/slog"
	"sync"
)

const (
	// A prompt of more bytes for each reported token than this is counted; text
	// in Latin script has 4 to 5.
	suspiciousBytesPerToken = 6
	// Tokenizers differ by some tens of percent; a prompt cut to its window
	// differs by more.
	cutRatio = 1.4
	// Below it a cut does not matter, and ratios say little.
	cutMinTokens = 512
)

// promptCut recognizes a prompt that the endpoint shortened without a word:
// Ollama keeps what fits num_ctx, 4096 tokens unless it was raised, drops the
// rest of the document, and answers 200 (ollama issues 4967 and 3839). Its own
// usage gives it away. Such an answer is a summary of a part; class
// ContextLength has the caller send smaller pieces.
func (c *Client) promptCut(r Request, u Usage) *Error {
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
	counted := TokenizerFor(r.Model).CountMessages(r.Messages)
	if float64(counted) < cutRatio*float64(u.In) {
		return nil
	}
	if c.warned.first(r.Model) {
		c.cfg.Logger.Warn("the endpoint cuts long prompts silently; raise its context (Ollama: OLLAMA_CONTEXT_LENGTH) or set --context-tokens to it",
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

// warnings lets each warning through once.
type warnings struct {
	mu   sync.Mutex
	seen map[string]bool
}

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

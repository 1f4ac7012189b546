package llm

import (
	"fmt"
	"log/slog"
	"math/bits"
	"sync"
)

const (
	// suspiciousBytesPerToken is the number of prompt bytes per reported token above which the
	// prompt is counted. Text in Latin script has 4 to 5, and text in Han 4.
	suspiciousBytesPerToken = 6
	// cutRatio is the ratio of counted to reported tokens above which the prompt was cut. Tokenizers
	// differ by some tens of percent.
	cutRatio = 1.4
	// cutMinTokens is the smallest reported prompt that is checked. Below it the ratio is noise.
	cutMinTokens = 512
	// leastWindow is the smallest context that servers are set to. A prompt of exactly 2048, 4096, …
	// tokens was cut at a window if it has roundRatio times as many.
	leastWindow = 2048
	roundRatio  = 1.02
	// Two prompts whose sizes differ by differRatio and for which the same number is reported were
	// cut if they have sameRatio times as many tokens.
	differRatio = 1.25
	sameRatio   = 1.15
	// shrinkRatio is how much smaller than the largest reported prompt a window cannot be.
	shrinkRatio = 1.1
	// mostSizes bounds the sizes that are kept for a model.
	mostSizes = 4096
)

// promptCut recognizes a prompt that the endpoint cut without an error. Ollama keeps what fits
// into num_ctx (4096 tokens by default), drops the rest of the document, and answers 200 (ollama
// issues 4967 and 3839). The usage that it reports shows the cut: far fewer tokens than were sent,
// exactly a power of two, or the same number for different prompts. The answer would be the summary
// of a part. Class ContextLength makes the caller send smaller chunks.
//
// Fewer tokens than the endpoint reported for another prompt are no window: a gateway leaves cached
// tokens out, or counts in its own way. The answer is taken then, with a warning. Cached tokens
// that the usage names beside the prompt are added to it.
func (c *Client) promptCut(r Request, u *Usage) *Error {
	if u.In < cutMinTokens {
		return nil
	}
	size, estimate := 0, 0
	for _, m := range r.Messages {
		size += len(m.Content)
		estimate += EstimateTokens(m.Content)
	}
	w := c.windows.of(r.Model)
	same := w.sawSame(u.In, estimate)
	round := u.In >= leastWindow && (bits.OnesCount(uint(u.In)) == 1 || u.In == w.read())
	if estimate <= u.In || size < suspiciousBytesPerToken*u.In && !same && !round {
		w.saw(u.In)
		return nil
	}
	counted := TokenizerFor(r.Model).countMessages(r.Messages)
	ratio := float64(counted) / float64(u.In)
	switch isCut := ratio >= cutRatio || round && ratio >= roundRatio || same && ratio >= sameRatio; {
	case isCut && u.CachedIn > 0 && float64(u.In+u.CachedIn+u.CacheWriteIn)*cutRatio > float64(counted):
		u.In += u.CachedIn + u.CacheWriteIn
		return nil
	case !isCut:
		w.saw(u.In)
		return nil
	case w.isNone(u.In):
		if c.warned.first("usage " + r.Model) {
			c.cfg.Logger.Warn("endpoint reports fewer prompt tokens than were sent, and not because of its context window; its counts are taken as they are",
				slog.String("endpoint", c.Host()), slog.String("model", r.Model),
				slog.Int("tokens_sent", counted), slog.Int("tokens_reported", u.In))
		}
		return nil
	}
	w.cut(u.In)
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
		Usage:   *u,
		Window:  u.In,
	}
}

// windows is what the usage of answers tells about the context windows of models.
type windows struct {
	mu     sync.Mutex
	models map[string]*readWindow
}

// readWindow is what is known of one model's window.
type readWindow struct {
	mu      sync.Mutex
	largest int         // most prompt tokens reported
	window  int         // tokens read of a prompt that was cut; 0: none was
	sizes   map[int]int // reported tokens to the estimate of the prompt
}

func (w *windows) of(model string) *readWindow {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.models == nil {
		w.models = make(map[string]*readWindow)
	}
	if w.models[model] == nil {
		w.models[model] = &readWindow{sizes: make(map[int]int)}
	}
	return w.models[model]
}

// saw notes the prompt tokens of an answer.
func (w *readWindow) saw(in int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.largest = max(w.largest, in)
}

// sawSame reports whether the same number was reported for a prompt of another size.
func (w *readWindow) sawSame(in, estimate int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	before, ok := w.sizes[in]
	if len(w.sizes) >= mostSizes {
		clear(w.sizes)
	}
	if in >= leastWindow/2 {
		w.sizes[in] = max(before, estimate)
	}
	return ok && (float64(estimate) >= differRatio*float64(before) || float64(before) >= differRatio*float64(estimate))
}

// isNone reports that a number of tokens is not the window, because more were read.
func (w *readWindow) isNone(in int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return float64(w.largest) > shrinkRatio*float64(in)
}

// cut notes the window at which a prompt was cut.
func (w *readWindow) cut(in int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.window = in
	w.largest = max(w.largest, in)
}

// read returns the tokens that were read of a prompt that was cut, or 0.
func (w *readWindow) read() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.window
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

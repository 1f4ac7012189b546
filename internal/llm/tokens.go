package llm

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer"
)

// Chat overhead of OpenAI's models, in tokens.
// Source: OpenAI cookbook, "How to count tokens with tiktoken".
const (
	tokensPerMessage = 4 // three that frame it, one for the role
	tokensForReply   = 3 // <|start|>assistant<|message|> before the answer
)

// countPiece is the number of bytes that are given to the tokenizer at once. Its splitting
// expression copies the text to runes of four bytes each, so pieces bound the memory.
const countPiece = 64 << 10

// countRun is the longest run of bytes without a place to split; a longer one is cut. From v0.10
// on, tiktoken-go merges a run of n bytes in n log n steps, with about 20 bytes of memory each
// (codec.go, mergePairsHeap); before, the time was quadratic.
const countRun = 4 << 10

// The vocabularies are compiled in. The first count turns one into a map of 100,000 or 200,000
// entries, which takes 0.07 s and 6 MB of heap.
//
//nolint:gochecknoglobals // constants that are made at first use
var (
	o200k  = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })
	cl100k = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.Cl100kBase) })
)

// A Tokenizer counts tokens. It is safe for concurrent use.
type Tokenizer struct {
	codec func() (tokenizer.Codec, error)
	// exact is set if the vocabulary is the model's own. Even then the provider's count differs by
	// some tokens; otherwise by tens of percent.
	exact bool
}

// TokenizerFor returns the tokenizer of a model. For models of other makers (Llama, Mistral,
// Gemini, Claude, …) it counts with o200k_base, which is an estimate.
func TokenizerFor(model string) *Tokenizer {
	name := strings.ToLower(baseModel(model))
	name = strings.TrimPrefix(name, "ft:")
	switch {
	case strings.HasPrefix(name, "gpt-4o"), strings.HasPrefix(name, "gpt-4.1"), strings.HasPrefix(name, "gpt-4.5"),
		strings.HasPrefix(name, "chatgpt-4o"), strings.HasPrefix(name, "gpt-oss"), takesCompletionCap(model):
		return &Tokenizer{codec: o200k, exact: true}
	case strings.HasPrefix(name, "gpt-4"), strings.HasPrefix(name, "gpt-3.5"), strings.HasPrefix(name, "gpt-35"):
		return &Tokenizer{codec: cl100k, exact: true}
	}
	return &Tokenizer{codec: o200k}
}

// Count returns the number of tokens of a text. Time and memory are linear in the length of the
// text, whatever it contains.
func (t *Tokenizer) Count(text string) int {
	codec, err := t.codec()
	if err != nil {
		return EstimateTokens(text) // cannot happen: the vocabularies are compiled in
	}
	total := 0
	for text != "" {
		piece := text[:splitPoint(text)]
		text = text[len(piece):]
		n, err := codec.Count(piece)
		if err != nil {
			n = EstimateTokens(piece)
		}
		total += n
	}
	return total
}

// countMessages returns the prompt tokens of a conversation, as the provider counts them with its
// frames.
func (t *Tokenizer) countMessages(messages []Message) int {
	total := tokensForReply
	for _, m := range messages {
		total += tokensPerMessage + t.Count(m.Content)
	}
	return total
}

// CountRequest returns the prompt tokens of a request, including its schema.
func CountRequest(r Request) int {
	t := TokenizerFor(r.Model)
	total := t.countMessages(r.Messages)
	if r.Schema != nil {
		total += t.Count(string(r.Schema))
	}
	return total
}

// splitPoint returns the end of the next piece of a text. Tokenizers split text before they
// merge, and a space belongs to the word after it. So a cut before a space between two words
// changes no token.
func splitPoint(text string) int {
	if len(text) <= countRun {
		return len(text)
	}
	run := 0 // bytes since the last possible split
	end := min(len(text), countPiece)
	last := 0
	for i := 0; i < end; {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == ' ' && i > 0 && isWordByte(text[i-1]) && i+1 < len(text) && isWordByte(text[i+1]) {
			last, run = i, 0
		}
		run += size
		i += size
		if run > countRun {
			return i // a long run without spaces; the cut costs at most one token
		}
	}
	if end == len(text) || last == 0 {
		return end
	}
	return last
}

func isWordByte(b byte) bool { return b|0x20-'a' < 26 }

// EstimateTokens estimates the tokens of a text without a vocabulary. It is fast and tends to be
// high: measured with o200k_base it is above the count for prose in Latin, Cyrillic, Greek and
// CJK scripts, for source code and for tables. Random characters can have more tokens, but no
// text has more than len(text).
func EstimateTokens(text string) int {
	var letters, others, wide int
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if isWordByte(c) || c == ' ' {
				letters++
			} else {
				others++
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		i += n
		switch {
		case unicode.Is(unicode.Latin, r), unicode.Is(unicode.Cyrillic, r), unicode.Is(unicode.Greek, r):
			letters += 2
		default:
			wide++
		}
	}
	return letters/3 + (others*3+3)/4 + (wide*5+3)/4 + 1
}

// What endpoints add to a prompt before they count it, as upper bounds: the frame of each
// message, the words around a schema, and what chat templates put first (a date, a standing
// instruction: about 100 tokens with gpt-oss, 30 with Llama 3.1 and Qwen 2.5).
const (
	boundPerMessage = 16
	boundPerRequest = 128
)

// BoundPrompt returns a number of prompt tokens that no endpoint exceeds when it bills the
// request. It is what to reserve from a budget. If the model's vocabulary is known, it is the
// count plus a twentieth, for what providers count differently, and at least EstimateTokens.
// Otherwise it is the number of bytes: no vocabulary that falls back to bytes makes more tokens
// of a text.
func BoundPrompt(r Request) int {
	t := TokenizerFor(r.Model)
	part := func(text string) int {
		if !t.exact {
			return len(text)
		}
		n := t.Count(text)
		return min(len(text), max(EstimateTokens(text), n+n/20))
	}
	total := boundPerRequest + part(string(r.Schema))
	for _, m := range r.Messages {
		total += boundPerMessage + part(m.Content)
	}
	return total
}

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
	tokensForReply   = 3 // every answer is primed with <|start|>assistant<|message|>
)

// countPiece is how much text goes through the tokenizer at once, in bytes. Its
// splitting expression works on a copy of the text in runes, four bytes each,
// so pieces bound the memory that is held at a time.
const countPiece = 64 << 10

// countRun is the longest run without a place to split; a longer one is cut.
// tiktoken-go merges a run of n bytes in n log n from v0.10 on (codec.go,
// mergePairsHeap) with some 20 bytes of memory each; before, it was quadratic.
const countRun = 4 << 10

// The vocabularies are compiled in, and turned into maps of 100,000 and 200,000
// entries at the first count: 0.07 s and 6 MB on the heap.
//
//nolint:gochecknoglobals // never change: constants that are made when they are first needed
var (
	o200k  = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })
	cl100k = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.Cl100kBase) })
)

// A Tokenizer counts tokens. It is safe for concurrent use.
type Tokenizer struct {
	codec func() (tokenizer.Codec, error)
	exact bool
}

// TokenizerFor returns the tokenizer of a model. For models with a vocabulary
// of their own (Llama, Mistral, Gemini, Claude, …) it counts with o200k_base,
// which is an estimate: see Exact.
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

// Exact tells whether the vocabulary is the model's own. Even then the
// provider's count differs by some tokens, and for others by tens of percent.
func (t *Tokenizer) Exact() bool { return t.exact }

// Count returns the number of tokens of a text. Time and memory grow with the
// text in proportion, whatever is in it.
func (t *Tokenizer) Count(text string) int {
	codec, err := t.codec()
	if err != nil {
		return EstimateTokens(text) // a vocabulary that is compiled in cannot be missing
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

// CountMessages returns the tokens of a conversation as the provider counts
// its prompt, framing included.
func (t *Tokenizer) CountMessages(messages []Message) int {
	total := tokensForReply
	for _, m := range messages {
		total += tokensPerMessage + t.Count(m.Content)
	}
	return total
}

// CountRequest returns the prompt tokens of a request, its schema included.
func CountRequest(r Request) int {
	t := TokenizerFor(r.Model)
	total := t.CountMessages(r.Messages)
	if r.Schema != nil {
		total += t.Count(string(r.Schema))
	}
	return total
}

// splitPoint is where the next piece of a text ends. Vocabularies split text
// before they merge: a space belongs to the word after it, so a cut before a
// space that follows a word and precedes one changes no token.
func splitPoint(text string) int {
	if len(text) <= countRun {
		return len(text)
	}
	run := 0 // bytes since the last place to split
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
			return i // a run without spaces; the cut costs at most a token
		}
	}
	if end == len(text) || last == 0 {
		return end
	}
	return last
}

func isWordByte(b byte) bool { return b|0x20-'a' < 26 }

// EstimateTokens guesses the tokens of a text without a vocabulary, fast and on
// the high side: measured against o200k_base it is above the count for prose in
// Latin, Cyrillic, Greek and CJK scripts, for source code and for tables. Random
// characters can have more; what holds for every text is that it has at most
// len(text) tokens.
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

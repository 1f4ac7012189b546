package summarize

import (
	"testing"

	"github.com/gistmill/gistmill/internal/llm"
)

// An endpoint that cuts a prompt shows its window. The next requests fit into it, so that no
// further answer is paid for and dropped.
func TestCutPromptShowsTheWindow(t *testing.T) {
	t.Parallel()
	const window = 4096
	cut := 0
	m := &scripted{answer: func(_ int, r llm.Request) (llm.Response, error) {
		tokens := 0
		for _, msg := range r.Messages {
			tokens += quarter(msg.Content)
		}
		if tokens > window {
			cut++
			return llm.Response{}, &llm.Error{Class: llm.ContextLength, Code: "prompt_cut", Window: window, Usage: llm.Usage{In: window}}
		}
		if r.Schema != nil {
			return llm.Response{Content: summaryObject("Light is refracted.")}, nil
		}
		return llm.Response{Content: "Light is refracted.", FinishReason: llm.FinishStop}, nil
	}}
	s, err := engine(t, profile(), m, 32_000).Summarize(t.Context(), Document{Text: opticks(t)[:100_000]})
	if err != nil || cut != 1 || s.Chunks < 6 {
		t.Errorf("%d prompts were cut, %d chunks, %v", cut, s.Chunks, err)
	}
}

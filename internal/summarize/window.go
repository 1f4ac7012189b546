package summarize

import "strings"

// ContextWindow is the number of tokens that model takes, prompt and answer together,
// as far as its name tells; 8192 where it does not. A model that people serve for
// themselves (Llama, Qwen, Mistral, …) has the window its server was started with, which
// its name does not tell. A window that proves smaller is found out by the call.
//
// Sources: the model pages of OpenAI, Anthropic and Google, 2025-11. For the gpt-5 family
// it is what is left for the prompt and a common answer (272,000 in, 128,000 out).
func ContextWindow(model string) int {
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	name = strings.TrimPrefix(name, "ft:")
	for _, w := range []struct {
		prefix string
		tokens int
	}{
		{"gpt-4.1", 1_047_576},
		{"gpt-4o", 128_000},
		{"chatgpt-4o", 128_000},
		{"gpt-4-turbo", 128_000},
		{"gpt-4.5", 128_000},
		{"gpt-5", 272_000},
		{"gpt-3.5-turbo", 16_385},
		{"gpt-35-turbo", 16_385},
		{"o1", 128_000},
		{"o3", 200_000},
		{"o4", 200_000},
		{"claude-", 200_000},
		{"gemini-1.5", 1_048_576},
		{"gemini-2", 1_048_576},
	} {
		if strings.HasPrefix(name, w.prefix) {
			return w.tokens
		}
	}
	return defaultWindow
}

const defaultWindow = 8192

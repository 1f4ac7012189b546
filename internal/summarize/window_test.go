package summarize

import "testing"

func TestContextWindow(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]int{
		"gpt-4o-mini":             128_000,
		"openai/gpt-4.1-nano":     1_047_576,
		"ft:gpt-4o-mini:acme::1":  128_000,
		"gpt-4":                   8192,
		"gpt-4-turbo-2024-04-09":  128_000,
		"GPT-35-Turbo":            16_385,
		"claude-3-5-haiku-latest": 200_000,
		"llama3.1:8b":             8192,
		"o3-mini":                 200_000,
		"":                        8192,
	} {
		if got := ContextWindow(model); got != want {
			t.Errorf("%q: %d, want %d", model, got, want)
		}
	}
}

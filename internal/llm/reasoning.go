package llm

import "strings"

// reasoningHeadroom is added to the output cap of a reasoning model. Its reasoning counts as
// output and would use up a cap for the answer alone before the answer begins.
const reasoningHeadroom = 1024

// isReasoningModel decides by name: OpenAI's o series, and GPT-5 and later. They take
// max_completion_tokens and no temperature. The -chat variants do not reason.
// Source: developers.openai.com/api/docs/guides/reasoning.
func isReasoningModel(model string) bool {
	name := strings.ToLower(baseModel(model))
	if strings.Contains(name, "-chat") {
		return false
	}
	if rest, ok := strings.CutPrefix(name, "gpt-"); ok {
		return isGPT5(leadingNumber(rest))
	}
	rest, ok := strings.CutPrefix(name, "o")
	return ok && leadingNumber(rest) >= 1
}

// takesCompletionCap reports whether the model takes its output cap as max_completion_tokens.
func takesCompletionCap(model string) bool {
	name := strings.ToLower(baseModel(model))
	return isReasoningModel(model) || strings.HasPrefix(name, "gpt-") && isGPT5(leadingNumber(name[len("gpt-"):]))
}

// isGPT5 reports whether a version is 5 or later. Azure's gpt-35-turbo is GPT-3.5.
func isGPT5(major int) bool { return major >= 5 && major != 35 }

// leadingNumber returns the number that a string begins with, or 0.
func leadingNumber(s string) int {
	n := 0
	for i := 0; i < len(s) && i < 6 && '0' <= s[i] && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// baseModel removes the prefixes that proxies put before a model's name ("openai/gpt-4o",
// "models/gemini-2.5-flash").
func baseModel(model string) string {
	for {
		prefix, rest, ok := strings.Cut(model, "/")
		if !ok || !isProvider(strings.ToLower(prefix)) {
			return model
		}
		model = rest
	}
}

// isProvider reports whether a prefix leaves the price of a model unchanged. Other prefixes
// ("groq/openai/gpt-oss-120b") name a host with its own prices.
func isProvider(prefix string) bool {
	switch prefix {
	case "openai", "azure", "openrouter", "anthropic", "google", "gemini", "models", "litellm_proxy":
		return true
	}
	return false
}

// OutputCap returns the output tokens that the endpoint reserves for the request and charges
// against a token limit: MaxOutputTokens, and for a reasoning model 1024 more. It is 0 without a
// cap.
func (r Request) OutputCap() int {
	if r.MaxOutputTokens > 0 && isReasoningModel(r.Model) {
		return r.MaxOutputTokens + reasoningHeadroom
	}
	return r.MaxOutputTokens
}

package llm

import "strings"

// reasoningHeadroom is added to the output cap of a reasoning model, whose
// thinking is counted as output: a cap for the answer alone would be used up
// before the answer begins.
const reasoningHeadroom = 1024

// isReasoningModel tells by name: OpenAI's o series and GPT-5 and later, which
// take max_completion_tokens and no temperature. The -chat variants do not
// reason.
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

// takesCompletionCap tells whether the model wants its output cap as
// max_completion_tokens.
func takesCompletionCap(model string) bool {
	name := strings.ToLower(baseModel(model))
	return isReasoningModel(model) || strings.HasPrefix(name, "gpt-") && isGPT5(leadingNumber(name[len("gpt-"):]))
}

// isGPT5 tells GPT-5 and later from what Azure calls gpt-35-turbo.
func isGPT5(major int) bool { return major >= 5 && major != 35 }

// leadingNumber reads the digits a string begins with; 0 without any.
func leadingNumber(s string) int {
	n := 0
	for i := 0; i < len(s) && i < 6 && '0' <= s[i] && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// baseModel strips what proxies put in front of a model's name
// ("openai/gpt-4o", "models/gemini-2.5-flash").
func baseModel(model string) string {
	for {
		prefix, rest, ok := strings.Cut(model, "/")
		if !ok || !isProvider(strings.ToLower(prefix)) {
			return model
		}
		model = rest
	}
}

// isProvider knows the prefixes under which a model costs what its maker asks.
// Others ("groq/openai/gpt-oss-120b") name a host with prices of its own.
func isProvider(prefix string) bool {
	switch prefix {
	case "openai", "azure", "openrouter", "anthropic", "google", "gemini", "models", "litellm_proxy":
		return true
	}
	return false
}

// OutputCap is the number of output tokens that the endpoint reserves for the
// request, which is what it charges against a token limit: MaxOutputTokens, and
// for a reasoning model room to think. 0 where nothing is capped.
func (r Request) OutputCap() int {
	if r.MaxOutputTokens > 0 && isReasoningModel(r.Model) {
		return r.MaxOutputTokens + reasoningHeadroom
	}
	return r.MaxOutputTokens
}

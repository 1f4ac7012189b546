package llm

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/llm/traits"
)

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

// thinkers are models that think by default, by the beginning of their name after
// the last slash, and what their names must not contain. It is a first guess, for the estimate and
// the first call; calls correct it. Sources: ai.google.dev/gemini-api/docs/thinking, Qwen3's model
// card, api-docs.deepseek.com (deepseek-reasoner), docs.mistral.ai (magistral),
// docs.z.ai (GLM-4.5), platform.moonshot.ai (kimi-*-thinking), docs.x.ai (grok-4, grok-3-mini).
var thinkers = []struct{ begins, without string }{ //nolint:gochecknoglobals // never changed
	{"gemini-2.5", "lite"},
	{"gemini-3", ""},
	{"qwen3", "instruct coder embedding rerank"},
	{"qwq", ""},
	{"deepseek-r", ""},
	{"magistral", ""},
	{"glm-4.5", ""},
	{"glm-4.6", ""},
	{"glm-5", ""},
	{"kimi-k2-thinking", ""},
	{"kimi-thinking", ""},
	{"minimax-m", ""},
	{"grok-4", "non-reasoning"},
	{"grok-3-mini", ""},
}

// thinkerHeadroom is the headroom of a model of thinkers until its answers were seen.
const thinkerHeadroom = 2048

// GuessHeadroom returns the headroom for thought that a model's name suggests, in tokens: 1024 for
// OpenAI's reasoning models at low effort, 2048 for others that think, and 0.
func GuessHeadroom(model string) int {
	if isReasoningModel(model) {
		return reasoningHeadroom
	}
	name := strings.ToLower(model[strings.LastIndexByte(model, '/')+1:])
	for _, t := range thinkers {
		if strings.HasPrefix(name, t.begins) && !slices.ContainsFunc(strings.Fields(t.without), func(w string) bool { return strings.Contains(name, w) }) {
			return thinkerHeadroom
		}
	}
	return 0
}

// Headroom returns the tokens to add to the cap of an answer for a model's thought: what its
// answers needed, and not less than its name suggests. effort none asks for no thought, and then
// only answers count.
func Headroom(model, effort string, known traits.Traits) int {
	seen := known.Thought.Headroom()
	if effort == "none" {
		return seen
	}
	return max(seen, GuessHeadroom(model))
}

// Headroom returns the headroom to plan with for a run with this model: the largest of all
// endpoints. It is a power of two, or what the name of the model suggests, so that it rarely
// changes.
func (e Endpoints) Headroom(model, effort string) int {
	if len(e) == 0 {
		return Headroom(model, effort, traits.Traits{})
	}
	most := 0
	for _, one := range e {
		asked := cmp.Or(one.Model, model)
		most = max(most, Headroom(asked, effort, one.Known(model).Known()))
	}
	if most == 0 || most == GuessHeadroom(model) {
		return most
	}
	planned := reasoningHeadroom
	for planned < most {
		planned *= 2
	}
	return planned
}

// Thought returns the mean tokens of thought of an answer of the first endpoint: as seen, else half
// of what the name of the model suggests.
func (e Endpoints) Thought(model, effort string) int {
	if len(e) > 0 {
		if known := e[0].Known(model).Known(); known.Thought.Thinks() || known.Answered > 0 {
			return known.Thought.Typical()
		}
	}
	return Headroom(model, effort, traits.Traits{}) / 2
}

// OutputCap returns the output tokens that the endpoint reserves for the request and charges
// against a token limit: MaxOutputTokens and the headroom for thought, within what the window and
// the model leave. It is 0 without a cap.
func (r Request) OutputCap() int {
	if r.MaxOutputTokens <= 0 {
		return 0
	}
	headroom := r.Headroom
	if !r.prepared && headroom == 0 {
		headroom = Headroom(r.Model, r.Effort, traits.Traits{})
	}
	out := r.MaxOutputTokens + headroom
	if r.Room > 0 {
		out = min(out, max(r.Room, r.MaxOutputTokens))
	}
	if r.MostOutput > 0 {
		out = min(out, r.MostOutput)
	}
	return out
}

// Prepare returns r as the endpoint's client sends it: for its model, and with what is known of it
// now. most is the most output tokens of the model by its price table; 0: unknown. A call that is
// prepared keeps its cap, so that it can be reserved before it is made.
func (e Endpoint) Prepare(r Request, most int) Request {
	r.Model = cmp.Or(e.Model, r.Model)
	r.MostOutput = most
	return r.withKnown(e.Known(r.Model))
}

func (r Request) withKnown(m *traits.Model) Request {
	known := m.Known()
	r.Headroom = Headroom(r.Model, r.Effort, known)
	if known.MostOutput > 0 && (r.MostOutput == 0 || known.MostOutput < r.MostOutput) {
		r.MostOutput = known.MostOutput
	}
	r.prepared = true
	return r
}

// learnThought notes how many tokens of thought an answer took, and adds that to resp. Thought is
// what the endpoint reports, else what its answer shows, else what an answer that was cut with
// little text does not explain.
func (c *Client) learnThought(ctx context.Context, m *traits.Model, r Request, resp *Response) {
	isCut := resp.FinishReason == FinishLength
	text := EstimateTokens(resp.Content)
	thought := resp.Usage.Thought
	if thought == 0 && resp.Thoughts > 0 {
		thought = max(resp.Usage.Out-text, resp.Thoughts/bytesPerThought)
	}
	if out := cmp.Or(resp.Usage.Out, r.OutputCap()); isCut && thought == 0 && 2*text < out {
		thought = out - text
	}
	resp.Thought = thought
	resp.AtMost = isCut && r.MostOutput > 0 && r.OutputCap() >= r.MostOutput
	if isCut && thought > 0 && (r.MaxOutputTokens == 0 || text < r.MaxOutputTokens) {
		m.CutByThought(ctx, thought)
		return
	}
	m.Answered(ctx, thought)
}

// bytesPerThought is the number of bytes of thought for a token.
const bytesPerThought = 4

package llm

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// completion is the part of a chat completion that is used
// (https://platform.openai.com/docs/api-reference/chat/object). go-openai's type has forty more
// fields, decodes a message twice, and lacks cache_write_tokens.
type completion struct {
	Model   string `json:"model"`
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      struct {
			Content content `json:"content"`
			Refusal string  `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
	// ServiceTier is where OpenAI, Azure, Groq and OpenRouter name the tier; Anthropic names it in the
	// usage.
	ServiceTier tierName `json:"service_tier"`
	Usage       struct {
		ServiceTier tierName `json:"service_tier"`

		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    struct {
			Cached     int `json:"cached_tokens"`
			CacheWrite int `json:"cache_write_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
}

// content is a text, or the joined texts of a list of parts. Mistral's reasoning models send a
// list: one part with the reasoning, which has no text, and one with the answer
// (https://docs.mistral.ai/capabilities/reasoning).
type content string

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (c *content) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '[' {
		return json.UnmarshalDecode(d, (*string)(c))
	}
	var parts []struct {
		Text string `json:"text"` // empty in parts of other kinds
	}
	if err := json.UnmarshalDecode(d, &parts); err != nil {
		return err
	}
	var all strings.Builder
	for _, p := range parts {
		all.WriteString(p.Text)
	}
	*c = content(all.String())
	return nil
}

// lenient accepts repeated names and invalid UTF-8, as encoding/json does: some servers send
// them.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) //nolint:gochecknoglobals // never changed

// parseCompletion decodes a response body. Data after the JSON object is ignored.
func parseCompletion(body []byte) (completion, error) {
	var c completion
	if err := json.UnmarshalDecode(jsontext.NewDecoder(bytes.NewBuffer(body), lenient), &c); err != nil {
		return completion{}, err
	}
	return c, nil
}

// maxUsage is more than the tokens of any call. Negative or larger counts would falsify the
// ledger.
const maxUsage = 1e9

// plausible clamps a reported token count.
func plausible(tokens int) int { return min(max(tokens, 0), maxUsage) }

func (c completion) usage() Usage {
	return Usage{
		In: plausible(c.Usage.Prompt), Out: plausible(c.Usage.Completion),
		CachedIn: plausible(c.Usage.Details.Cached), CacheWriteIn: plausible(c.Usage.Details.CacheWrite),
	}
}

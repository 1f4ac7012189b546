package llm

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// completion is what is used of a chat completion
// (https://platform.openai.com/docs/api-reference/chat/object). go-openai's type has forty fields more, and decodes a message twice.
type completion struct {
	Model   string `json:"model"`
	Choices []struct {
		FinishReason string `json:"finish_reason"`
		Message      struct {
			Content content `json:"content"`
			Refusal string  `json:"refusal"`
		} `json:"message"`
	} `json:"choices"`
	Usage struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Details    struct {
			Cached     int `json:"cached_tokens"`
			CacheWrite int `json:"cache_write_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
}

// content is a text, or the texts in a list of parts, of which Mistral's reasoning models give one for their thoughts and one for the answer
// (https://docs.mistral.ai/capabilities/reasoning).
type content string

// UnmarshalJSONFrom is json.UnmarshalerFrom.
func (c *content) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '[' {
		return json.UnmarshalDecode(d, (*string)(c))
	}
	var parts []struct {
		Text string `json:"text"` // other kinds of parts have none
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

// lenient takes what encoding/json takes: some servers are careless.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) //nolint:gochecknoglobals // never changed

// parseCompletion decodes a response body. Data after the JSON object is ignored.
func parseCompletion(body []byte) (completion, error) {
	var c completion
	if err := json.UnmarshalDecode(jsontext.NewDecoder(bytes.NewBuffer(body), lenient), &c); err != nil {
		return completion{}, err
	}
	return c, nil
}

// maxUsage is more tokens than any call has. An endpoint that reports more, or less than none, would lead the books astray.
const maxUsage = 1e9

func plausible(tokens int) int { return min(max(tokens, 0), maxUsage) }

func (c completion) usage() Usage {
	return Usage{
		In: plausible(c.Usage.Prompt), Out: plausible(c.Usage.Completion),
		CachedIn: plausible(c.Usage.Details.Cached), CacheWriteIn: plausible(c.Usage.Details.CacheWrite),
	}
}

package llm

import (
	"cmp"
	"encoding/json"
	"maps"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	openai "github.com/sashabaranov/go-openai"
)

// chatBody is the body of a request to /chat/completions. It is written by hand: go-openai's type
// leaves out a temperature of 0, which vLLM takes for sampling at its own default
// (vllm/sampling_params.py), and its validator refuses caps that a gateway wants.
type chatBody struct {
	Model               string                               `json:"model"`
	Messages            []chatMessage                        `json:"messages"`
	ResponseFormat      *openai.ChatCompletionResponseFormat `json:"response_format,omitempty"`
	MaxTokens           int                                  `json:"max_tokens,omitempty"`
	MaxCompletionTokens int                                  `json:"max_completion_tokens,omitempty"`
	Temperature         *float32                             `json:"temperature,omitempty"`
	ReasoningEffort     string                               `json:"reasoning_effort,omitempty"`
	ServiceTier         string                               `json:"service_tier,omitempty"`
	Stream              bool                                 `json:"stream"`
	StreamOptions       *streamOptions                       `json:"stream_options,omitempty"`

	// extra are further members, which replace those above.
	extra map[string]jsontext.Value
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// body returns a request's body in this dialect.
func (d dialect) body(r Request) chatBody {
	b := chatBody{Model: r.Model, Messages: make([]chatMessage, 0, len(r.Messages)+1)}
	for _, m := range r.Messages {
		b.Messages = append(b.Messages, chatMessage(m))
	}
	if r.Schema != nil {
		d.addSchema(r, &b)
	}
	if d.plainRoles {
		b.Messages = withoutSystem(b.Messages)
	}
	if d.completionCap {
		b.MaxCompletionTokens = r.OutputCap()
	} else {
		b.MaxTokens = r.OutputCap()
	}
	if d.temperature {
		t := float32(r.Temperature)
		b.Temperature = &t
	}
	if d.stream {
		b.Stream, b.StreamOptions = true, &streamOptions{IncludeUsage: true}
	}
	d.addThinking(r, &b)
	return b
}

// withoutSystem puts the system text before the text of the user's first message, and joins
// messages of the same role that follow each other, for models whose template has no system role
// or wants the roles to alternate.
func withoutSystem(messages []chatMessage) []chatMessage {
	var out []chatMessage
	for _, m := range messages {
		if m.Role == RoleSystem {
			m.Role = RoleUser
		}
		if last := len(out) - 1; last >= 0 && out[last].Role == m.Role {
			out[last].Content += "\n\n" + m.Content
			continue
		}
		out = append(out, m)
	}
	return out
}

// addSchema asks for an answer that is valid against the schema.
func (d dialect) addSchema(r Request, b *chatBody) {
	switch d.format {
	case formatStrict, formatLoose:
		b.ResponseFormat = &openai.ChatCompletionResponseFormat{
			Type: openai.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{
				Name:   cmp.Or(r.SchemaName, "answer"),
				Schema: r.Schema,
				Strict: d.format == formatStrict,
			},
		}
		return
	case formatObject:
		b.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONObject}
	case formatPrompt:
	}
	b.Messages = instructSchema(b.Messages, r.Schema)
}

// encode returns the JSON, or an *Error if the schema or an extra member cannot be sent. It encodes
// each text once, and a second time with extra members. Bytes that are not UTF-8 become U+FFFD.
func (b chatBody) encode() ([]byte, error) {
	encoded, err := jsonv2.Marshal(b, lenient, jsonv1.OmitEmptyWithLegacySemantics(true))
	if err == nil && len(b.extra) > 0 {
		members := map[string]jsontext.Value{}
		if err = jsonv2.Unmarshal(encoded, &members, lenient); err == nil {
			maps.Copy(members, b.extra)
			encoded, err = jsonv2.Marshal(members, lenient, jsonv2.Deterministic(true))
		}
	}
	if err != nil {
		return nil, &Error{Class: BadRequest, Code: "invalid_schema", Message: "the request cannot be written: its JSON schema is invalid", NotSent: true, Doubtful: true}
	}
	return encoded, nil
}

// instructSchema adds the schema to the prompt, for endpoints that do not enforce it. The word
// JSON is required: OpenAI refuses json_object without it.
func instructSchema(messages []chatMessage, schema json.RawMessage) []chatMessage {
	text := "Answer with one JSON object, without a code fence or any other text around it, that is valid against this JSON schema:\n" + string(schema)
	if len(messages) > 0 && messages[0].Role == RoleSystem {
		messages[0].Content += "\n\n" + text
		return messages
	}
	return append([]chatMessage{{Role: RoleSystem, Content: text}}, messages...)
}

// unfence removes the Markdown code fence that models put around JSON.
func unfence(s string) string {
	t := strings.TrimSpace(s)
	inner, ok := strings.CutPrefix(t, "```")
	if !ok {
		return s
	}
	inner, ok = strings.CutSuffix(inner, "```")
	if !ok {
		return s
	}
	if language, rest, ok := strings.Cut(inner, "\n"); ok && !strings.ContainsAny(language, "{[") {
		inner = rest
	}
	return strings.TrimSpace(inner)
}

package llm

import (
	"cmp"
	"encoding/json"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
	openai "github.com/sashabaranov/go-openai"
)

// chatBody is the body of a request to /chat/completions: that of go-openai, with two members
// replaced. The outer one of two members with the same name is encoded.
type chatBody struct {
	openai.ChatCompletionRequest
	// Messages replaces a type that encodes itself by reflection, at several times the cost.
	Messages []chatMessage `json:"messages"`
	// Temperature replaces a number that is left out when it is 0. go-openai advises to send the
	// smallest float instead. vLLM raises that to 0.01 and samples, while 0 is greedy
	// (vllm/sampling_params.py).
	Temperature *float32 `json:"temperature,omitempty"`
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// body returns a request's body in this dialect.
func (d dialect) body(r Request) chatBody {
	b := chatBody{Messages: make([]chatMessage, 0, len(r.Messages)+1)}
	b.Model = r.Model
	for _, m := range r.Messages {
		b.Messages = append(b.Messages, chatMessage(m))
	}
	if r.Schema != nil {
		d.addSchema(r, &b)
	}
	if d.completionCap {
		b.MaxCompletionTokens = r.OutputCap()
	} else {
		b.MaxTokens = r.OutputCap() //nolint:staticcheck // deprecated by OpenAI; the only cap that many other servers know
	}
	if d.effort {
		// A summary needs little reasoning, which is billed as output. "low" is the one effort that
		// every reasoning model accepts.
		b.ReasoningEffort = openai.ReasoningEffortLow
	}
	if d.temperature {
		t := float32(r.Temperature)
		b.Temperature = &t
	}
	return b
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

// encode returns the JSON, or an *Error if the schema cannot be sent. It encodes each text once.
// Bytes that are not UTF-8 become U+FFFD. What a model takes is the endpoint's to say, not that of
// the names that go-openai's ReasoningValidator knows.
func (b chatBody) encode() ([]byte, error) {
	encoded, err := jsonv2.Marshal(b, lenient, jsonv1.OmitEmptyWithLegacySemantics(true))
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

package llm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	openai "github.com/sashabaranov/go-openai"
)

// wire writes a request in a dialect. The second result says that temperature
// 0 must be written by hand (see doer).
func (d dialect) wire(r Request) (openai.ChatCompletionRequest, bool) {
	out := openai.ChatCompletionRequest{
		Model:    r.Model,
		Messages: make([]openai.ChatCompletionMessage, 0, len(r.Messages)+1),
	}
	for _, m := range r.Messages {
		out.Messages = append(out.Messages, openai.ChatCompletionMessage{Role: m.Role, Content: m.Content})
	}
	if r.Schema != nil {
		d.wireSchema(r, &out)
	}
	if d.completionCap {
		out.MaxCompletionTokens = r.OutputCap()
	} else {
		out.MaxTokens = r.OutputCap() //nolint:staticcheck // deprecated by OpenAI; the only cap that many other servers know
	}
	if d.effort {
		// A summary needs little thought, and "low" is the one effort that every
		// reasoning model takes; thoughts are billed as output.
		out.ReasoningEffort = openai.ReasoningEffortLow
	}
	if d.temperature {
		out.Temperature = float32(r.Temperature)
	}
	return out, d.temperature && r.Temperature == 0
}

func (d dialect) wireSchema(r Request, out *openai.ChatCompletionRequest) {
	switch d.format {
	case formatStrict, formatLoose:
		out.ResponseFormat = &openai.ChatCompletionResponseFormat{
			Type: openai.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{
				Name:   cmp.Or(r.SchemaName, "answer"),
				Schema: r.Schema,
				Strict: d.format == formatStrict,
			},
		}
		return
	case formatObject:
		out.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONObject}
	case formatPrompt:
	}
	out.Messages = instructSchema(out.Messages, r.Schema)
}

// writeMessages writes the member "messages" of a request. Only role and text are used here.
func writeMessages(b *bytes.Buffer, messages []openai.ChatCompletionMessage) {
	b.WriteString(`"messages":[`)
	for i, m := range messages {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"role":`)
		writeString(b, m.Role)
		b.WriteString(`,"content":`)
		writeString(b, m.Content)
		b.WriteByte('}')
	}
	b.WriteByte(']')
}

// writeFormat writes a comma and the member "response_format".
func writeFormat(b *bytes.Buffer, f *openai.ChatCompletionResponseFormat) error {
	b.WriteString(`,"response_format":{"type":`)
	writeString(b, string(f.Type))
	if s := f.JSONSchema; s != nil {
		b.WriteString(`,"json_schema":{"name":`)
		writeString(b, s.Name)
		schema, err := s.Schema.MarshalJSON()
		if err != nil {
			return err
		}
		b.WriteString(`,"schema":`)
		if err := json.Compact(b, schema); err != nil {
			return fmt.Errorf("schema: %w", err)
		}
		fmt.Fprintf(b, `,"strict":%t}`, s.Strict)
	}
	b.WriteByte('}')
	return nil
}

// writeString writes a JSON string; what is not UTF-8 becomes U+FFFD.
func writeString(b *bytes.Buffer, s string) {
	quoted, _ := jsontext.AppendQuote(b.AvailableBuffer(), s) // names what is not UTF-8 as an error, and there is no other
	b.Write(quoted)
}

// instructSchema tells the model in words what the endpoint does not enforce.
// The word JSON must be there: OpenAI refuses json_object without it.
func instructSchema(messages []openai.ChatCompletionMessage, schema json.RawMessage) []openai.ChatCompletionMessage {
	text := "Answer with one JSON object, without a code fence or any other text around it, that is valid against this JSON schema:\n" + string(schema)
	if len(messages) > 0 && messages[0].Role == RoleSystem {
		messages[0].Content += "\n\n" + text
		return messages
	}
	return append([]openai.ChatCompletionMessage{{Role: RoleSystem, Content: text}}, messages...)
}

// unfence takes off the Markdown fence that models put around JSON.
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

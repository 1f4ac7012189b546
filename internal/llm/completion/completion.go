// Package completion reads the bodies of chat completions as endpoints really send them: each
// part on its own, so that a usage or an id of an odd type never makes a paid answer worthless.
//
// It owns the framing of a body (event streams, comments, compression), the places and types of
// its fields, the words that end an answer, and the marks of a model's thoughts. It refuses to own
// what an error means, and what makes an answer good.
package completion

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Completion is what a body says.
type Completion struct {
	Model string // as the endpoint names it; may be empty
	// Tier is the service tier that the endpoint names; may be empty. Anthropic names it in the usage.
	Tier string
	// Answered reports that the body has an answer, be it empty.
	Answered bool
	// Blocked reports that the prompt was read and neither answered nor refused with an error: Gemini
	// sends a usage and no choices where it blocks a prompt.
	Blocked bool
	Text    string
	// Thoughts is reasoning that the endpoint sent beside the text.
	Thoughts string
	Refusal  string // the model's own words
	Finish   string // the reason why the answer ended, as the endpoint writes it
	// Error is an error in the body, as the JSON object {"error": …}. Begun reports that it came
	// beside an answer: the generation failed after it had begun.
	Error []byte
	Begun bool
	Usage Usage
}

// lenient accepts repeated names and invalid UTF-8, as encoding/json does: some servers send
// them.
var lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) //nolint:gochecknoglobals // never changed

// Parse reads a body of [Unframe]. A body that is no JSON is an error. It wraps
// [io.ErrUnexpectedEOF] if the body broke off.
func Parse(body []byte) (Completion, error) {
	events, stream, err := events(Unframe(body))
	if err != nil {
		return Completion{}, err
	}
	var c Completion
	for _, e := range events {
		c.add(e)
	}
	if c.Error != nil && c.Text != "" && c.Finish != "" && EndOf(c.Finish) == Whole {
		c.Error = nil // a remark beside a whole answer
	}
	open := stream.open && c.Answered && c.Error == nil && c.Finish == "" && !jsontext.Value(c.Text).IsValid(lenient)
	c.Begun = c.Error != nil && c.Answered
	c.Answered = c.Answered && c.Error == nil && !open
	c.Blocked = !open && !c.Answered && c.Error == nil && (c.Blocked || c.Usage.Prompt > 0 && c.Usage.Completion == 0)
	if open {
		return c, io.ErrUnexpectedEOF
	}
	return c, nil
}

// body holds the fields of a completion. Each is decoded separately.
type body struct {
	Object     jsontext.Value `json:"object"`
	Model      jsontext.Value `json:"model"`
	Tier       jsontext.Value `json:"service_tier"`
	Choices    jsontext.Value `json:"choices"`
	Usage      jsontext.Value `json:"usage"`
	Error      jsontext.Value `json:"error"`
	OutputText jsontext.Value `json:"output_text"` // of the Responses API
	Output     jsontext.Value `json:"output"`
	Status     jsontext.Value `json:"status"`
	Incomplete jsontext.Value `json:"incomplete_details"`
	Message    jsontext.Value `json:"message"` // of Ollama's own API
	DoneReason jsontext.Value `json:"done_reason"`
	Groq       jsontext.Value `json:"x_groq"` // usage of Groq's chunks
	// Gemini's reason why it blocked a prompt.
	Feedback       jsontext.Value `json:"promptFeedback"`
	PromptFeedback jsontext.Value `json:"prompt_feedback"`
	// Envelopes of gateways.
	Data     jsontext.Value `json:"data"`
	Result   jsontext.Value `json:"result"`
	Response jsontext.Value `json:"response"`
}

// add adds an event of a stream, or the only object of a body.
func (c *Completion) add(raw jsontext.Value) {
	var b body
	if json.Unmarshal(raw, &b, lenient) != nil {
		return
	}
	for _, inner := range []jsontext.Value{b.Data, b.Result, b.Response} {
		var envelope body
		if inner.Kind() == '{' && b.Choices == nil && json.Unmarshal(inner, &envelope, lenient) == nil && envelope.Choices != nil {
			envelope.Error = first(envelope.Error, b.Error)
			b = envelope
		}
	}
	if s := text(b.Model); s != "" {
		c.Model = s
	}
	if isSet(b.Error) {
		c.fail(b.Error)
	}
	usage := b.Usage
	if !isSet(usage) {
		usage = member(b.Groq, "usage")
	}
	c.Usage.read(usage)
	if s := text(b.Tier); s != "" {
		c.Tier = s
	} else if s = text(member(usage, "service_tier")); s != "" {
		c.Tier = s
	}
	switch {
	case isSet(b.Choices):
		c.choices(b.Choices)
	case isSet(b.OutputText), b.Output.Kind() == '[':
		c.Answered = true
		c.content(first(b.OutputText, b.Output))
		c.finish(first(member(b.Incomplete, "reason"), b.Status))
	case b.Message.Kind() == '{' && isSet(first(member(b.Message, "content"), member(b.Message, "role"))):
		c.message(b.Message)
		c.finish(b.DoneReason)
	}
	if isSet(first(b.Feedback, b.PromptFeedback)) {
		c.Blocked = true // unless there is an answer
	}
}

// choices reads the first choice that says something.
func (c *Completion) choices(raw jsontext.Value) {
	list := elements(raw)
	if raw.Kind() == '{' {
		list = []jsontext.Value{raw}
	}
	if len(list) > 0 {
		c.choice(list[0])
	}
}

func (c *Completion) choice(raw jsontext.Value) {
	if raw.Kind() == '"' {
		c.Answered = true
		c.Text += text(raw)
		return
	}
	var choice struct {
		Message      jsontext.Value `json:"message"`
		Delta        jsontext.Value `json:"delta"` // of a stream
		Text         jsontext.Value `json:"text"`  // of the older completions API
		Content      jsontext.Value `json:"content"`
		FinishReason jsontext.Value `json:"finish_reason"`
		StopReason   jsontext.Value `json:"stop_reason"`
		Error        jsontext.Value `json:"error"`
		Usage        jsontext.Value `json:"usage"` // Moonshot's place in a stream
	}
	if raw.Kind() != '{' || json.Unmarshal(raw, &choice, lenient) != nil {
		return
	}
	c.Answered = true
	for _, m := range []jsontext.Value{choice.Message, choice.Delta} {
		if m.Kind() == '"' {
			c.Text += text(m)
		} else {
			c.message(m)
		}
	}
	if c.Text == "" {
		c.content(first(choice.Content, choice.Text))
	} else if choice.Message == nil && choice.Delta == nil {
		c.content(first(choice.Text, choice.Content))
	}
	c.finish(choice.FinishReason)
	if c.Finish == "" && choice.StopReason.Kind() == '"' { // vLLM's is a token, or the stop sequence
		if word := text(choice.StopReason); EndOf(word) != Unknown {
			c.Finish = word
		}
	}
	if isSet(choice.Error) {
		c.fail(choice.Error)
	}
	c.Usage.read(choice.Usage)
}

func (c *Completion) message(raw jsontext.Value) {
	var m struct {
		Content          jsontext.Value `json:"content"`
		Text             jsontext.Value `json:"text"`
		Refusal          jsontext.Value `json:"refusal"`
		ReasoningContent jsontext.Value `json:"reasoning_content"` // DeepSeek, SGLang, vLLM
		Reasoning        jsontext.Value `json:"reasoning"`         // OpenRouter, Groq, vLLM from 0.12
		Thinking         jsontext.Value `json:"thinking"`          // Ollama
		ToolCalls        jsontext.Value `json:"tool_calls"`
		FunctionCall     jsontext.Value `json:"function_call"`
	}
	if raw.Kind() != '{' || json.Unmarshal(raw, &m, lenient) != nil {
		return
	}
	c.Answered = true
	before := len(c.Text)
	c.content(first(m.Content, m.Text))
	for _, r := range []jsontext.Value{m.ReasoningContent, m.Reasoning, m.Thinking} {
		if isSet(r) {
			c.Thoughts += plain(r)
			break // one is a copy of the other
		}
	}
	c.Refusal += plain(m.Refusal)
	if len(c.Text) == before {
		for _, call := range elements(m.ToolCalls) {
			c.arguments(first(member(call, "function"), call))
			break
		}
		c.arguments(m.FunctionCall)
	}
}

// arguments takes the arguments of a call to a function as the answer: some gateways ask for a
// schema by way of one. They are JSON in a string, or the object itself.
func (c *Completion) arguments(call jsontext.Value) {
	raw := first(member(call, "arguments"), member(call, "input"))
	if raw.Kind() == '"' {
		c.Text += text(raw)
	} else if isSet(raw) {
		c.Text += string(raw)
	}
}

func (c *Completion) finish(raw jsontext.Value) {
	if s := reason(raw); s != "" {
		c.Finish = s
	}
}

// reason returns a finish reason of any type. Gemini's are numbers in its protocol buffers
// (google.ai.generativelanguage Candidate.FinishReason); other numbers say nothing.
func reason(raw jsontext.Value) string {
	switch raw.Kind() {
	case '"':
		s := strings.TrimSpace(text(raw))
		if n, ok := number(raw); ok {
			return numbered(n)
		}
		return s
	case '0':
		n, _ := number(raw)
		return numbered(n)
	case '[':
		if list := elements(raw); len(list) > 0 {
			return reason(list[0])
		}
	case '{':
		for _, name := range []string{"type", "reason", "value", "name", "code"} {
			if s := reason(member(raw, name)); s != "" {
				return s
			}
		}
	}
	return ""
}

func numbered(n int) string {
	words := [...]string{
		1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER", 6: "LANGUAGE",
		7: "BLOCKLIST", 8: "PROHIBITED_CONTENT", 9: "SPII", 10: "MALFORMED_FUNCTION_CALL",
	}
	if n > 0 && n < len(words) {
		return words[n]
	}
	return ""
}

func (c *Completion) fail(raw jsontext.Value) {
	c.Error = append(append([]byte(`{"error":`), raw...), '}')
}

// Usage is what the body reports about tokens. A number that is missing is 0.
type Usage struct {
	Prompt, Completion int
	Cached, CacheWrite int // parts of Prompt
	Reasoning          int // part of Completion
	// Cost is the price in USD that the endpoint names (OpenRouter's usage.cost); HasCost
	// reports that it names one.
	Cost    float64
	HasCost bool
}

// maxUsage is more than the tokens of any call. Negative or larger counts would falsify the
// ledger.
const maxUsage = 1e9

// read reads a usage. One that is missing or empty leaves u as it is: a stream's usage comes in one
// of its chunks.
//
// Cached tokens are part of the prompt at OpenAI (prompt_tokens_details.cached_tokens), DeepSeek
// (prompt_cache_hit_tokens) and Moonshot (cached_tokens), and are not at Anthropic
// (cache_read_input_tokens, cache_creation_input_tokens). Gateways before Claude give Anthropic's
// numbers under OpenAI's names. More cached than prompt tokens show that they are left out.
func (u *Usage) read(raw jsontext.Value) {
	if raw.Kind() != '{' {
		return
	}
	value := func(from jsontext.Value, names ...string) int {
		for _, name := range names {
			if n, ok := number(member(from, name)); ok && n != 0 {
				return min(max(n, 0), maxUsage)
			}
		}
		return 0
	}
	in := first(member(raw, "prompt_tokens_details"), member(raw, "input_tokens_details"))
	out := first(member(raw, "completion_tokens_details"), member(raw, "output_tokens_details"))
	v := Usage{
		Prompt:     value(raw, "prompt_tokens", "input_tokens"),
		Completion: value(raw, "completion_tokens", "output_tokens"),
		Cached:     value(in, "cached_tokens"),
		CacheWrite: value(in, "cache_write_tokens", "cache_creation_tokens"),
		Reasoning:  value(out, "reasoning_tokens"),
	}
	if v.Cached == 0 {
		v.Cached = value(raw, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens")
	}
	if v.CacheWrite == 0 {
		v.CacheWrite = value(raw, "cache_creation_input_tokens")
	}
	if v.Reasoning == 0 {
		v.Reasoning = value(raw, "reasoning_tokens")
	}
	total := value(raw, "total_tokens")
	if v.Prompt == 0 && v.Completion > 0 && total > v.Completion {
		v.Prompt = total - v.Completion
	}
	if v.Completion == 0 && v.Prompt > 0 && total > v.Prompt {
		v.Completion = total - v.Prompt
	}
	if v.Prompt > 0 && v.Cached+v.CacheWrite > v.Prompt {
		v.Prompt = min(v.Prompt+v.Cached+v.CacheWrite, maxUsage)
	}
	v.Cost, v.HasCost = decimal(member(raw, "cost"))
	if v != (Usage{}) {
		*u = v
	}
}

var errNoJSON = errors.New("no JSON")

// events returns the objects of a body: one, or the chunks of a stream. stream.open is set for a
// stream without its end mark.
func events(body []byte) (list []jsontext.Value, stream struct{ open bool }, err error) {
	if len(body) == 0 {
		return nil, stream, io.ErrUnexpectedEOF
	}
	if isEventStream(body) {
		var done bool
		list, done, err = eventData(body)
		stream.open = !done
		return list, stream, err
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body), lenient)
	value, err := d.ReadValue()
	if err != nil {
		return nil, stream, err
	}
	switch value.Kind() {
	case '[': // chunks in a list
		for _, e := range elements(value.Clone()) {
			if e.Kind() == '{' {
				list = append(list, e)
			}
		}
		if len(list) == 0 {
			return nil, stream, errNoJSON
		}
		return list, stream, nil
	case '"': // JSON within a JSON string
		if value = jsontext.Value(text(value)); value.Kind() != '{' {
			return nil, stream, errNoJSON
		}
	case '{':
	default:
		return nil, stream, errNoJSON
	}
	list = append(list, value.Clone())
	// Data after the object is ignored, unless the object is the first of several chunks.
	for isChunk(list[len(list)-1]) && d.PeekKind() == '{' {
		next, err := d.ReadValue()
		if err != nil {
			return nil, stream, err
		}
		list = append(list, next.Clone())
	}
	return list, stream, nil
}

// isChunk reports that more chunks may follow. Ollama's own API streams objects with done.
func isChunk(v jsontext.Value) bool {
	return text(member(v, "object")) == "chat.completion.chunk" || string(member(v, "done")) == "false"
}

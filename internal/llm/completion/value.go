package completion

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// isSet reports a value other than null.
func isSet(v jsontext.Value) bool { return len(v) > 0 && v.Kind() != 'n' }

// first returns the first value that is set, else nil.
func first(values ...jsontext.Value) jsontext.Value {
	for _, v := range values {
		if isSet(v) {
			return v
		}
	}
	return nil
}

// text returns a string, or "" for a value of another type.
func text(v jsontext.Value) (s string) {
	if v.Kind() == '"' {
		_ = json.Unmarshal(v, &s, lenient)
	}
	return s
}

// number returns a number, or the number that a string holds. A fraction is cut off.
func number(v jsontext.Value) (int, bool) {
	f, ok := decimal(v)
	return int(min(max(f, -math.MaxInt32), math.MaxInt32)), ok
}

func decimal(v jsontext.Value) (float64, bool) {
	s := string(v)
	switch v.Kind() {
	case '0':
	case '"':
		s = strings.TrimSpace(text(v))
	default:
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// member returns the value of an object's field, or nil.
func member(v jsontext.Value, name string) jsontext.Value {
	if v.Kind() != '{' {
		return nil
	}
	var fields map[string]jsontext.Value
	if json.Unmarshal(v, &fields, lenient) != nil {
		return nil
	}
	return first(fields[name])
}

func elements(v jsontext.Value) (list []jsontext.Value) {
	if v.Kind() == '[' {
		_ = json.Unmarshal(v, &list, lenient)
	}
	return list
}

// content adds the content of a message: a string, a list of parts, or the JSON that was asked
// for, as it is.
//
// Parts: OpenAI {"type": "text", "text"}, Responses {"type": "message", "content": [{"type":
// "output_text", "text"}]}, Assistants {"text": {"value"}}, Mistral {"type": "thinking",
// "thinking": […]}, Databricks and Anthropic {"type": "reasoning", "summary": […]}, Gemini
// {"parts": [{"text"}]}.
func (c *Completion) content(v jsontext.Value) {
	switch v.Kind() {
	case '"':
		c.Text += text(v)
	case '[':
		list := elements(v)
		for _, e := range list {
			if e.Kind() != '"' && !isPart(e) {
				c.Text += compact(v)
				return
			}
		}
		for _, e := range list {
			c.part(e)
		}
	case '{':
		if isPart(v) {
			c.part(v)
			return
		}
		c.Text += compact(v)
	case '0', 't', 'f':
		c.Text += string(v)
	}
}

// isPart reports a part of a message, as opposed to an object of the answer.
func isPart(v jsontext.Value) bool {
	var fields map[string]jsontext.Value
	if v.Kind() != '{' || json.Unmarshal(v, &fields, lenient) != nil {
		return false
	}
	switch strings.ToLower(text(fields["type"])) {
	case "text", "output_text", "message", "thinking", "redacted_thinking", "reasoning", "reasoning_content", "refusal",
		"tool_use", "function_call", "tool_call", "summary_text", "reasoning.text", "reference", "citation":
		return true
	}
	for name := range fields {
		switch name {
		case "text", "parts", "thought", "annotations", "index", "cache_control", "thoughtSignature":
		default:
			return false
		}
	}
	return fields["text"] != nil || fields["parts"] != nil
}

func (c *Completion) part(v jsontext.Value) {
	if v.Kind() == '"' {
		c.Text += text(v)
		return
	}
	kind := strings.ToLower(text(member(v, "type")))
	thought := string(member(v, "thought")) == "true"
	switch {
	case thought, strings.Contains(kind, "thinking"), strings.Contains(kind, "reasoning"):
		c.Thoughts += plain(first(member(v, "thinking"), member(v, "reasoning"), member(v, "summary"), member(v, "content"), member(v, "text")))
	case kind == "refusal":
		c.Refusal += plain(first(member(v, "refusal"), member(v, "text")))
	case kind == "tool_use" || kind == "function_call" || kind == "tool_call":
		c.arguments(v)
	case isSet(member(v, "parts")):
		c.content(member(v, "parts"))
	case kind == "message":
		c.content(member(v, "content"))
	default:
		t := member(v, "text")
		if t.Kind() == '{' {
			t = first(member(t, "value"), member(t, "text"))
		}
		c.content(t)
	}
}

// plain returns the text of a string, of parts, or of an object with a text.
func plain(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		return text(v)
	case '[':
		var all strings.Builder
		for _, e := range elements(v) {
			all.WriteString(plain(e))
		}
		return all.String()
	case '{':
		return plain(first(member(v, "text"), member(v, "thinking"), member(v, "content"), member(v, "summary"), member(v, "value")))
	}
	return ""
}

// compact returns JSON without space between its tokens.
func compact(v jsontext.Value) string {
	v = bytes.Clone(v)
	if v.Compact(lenient) != nil {
		return string(v)
	}
	return string(v)
}

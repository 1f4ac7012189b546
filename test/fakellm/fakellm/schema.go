package fakellm

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// A responseFormat is the requested form of an answer.
type responseFormat struct {
	kind   string  // text, json_object or json_schema
	schema *schema // nil: it cannot be parsed
}

// maxFormats bounds the cache. A client has one or two formats.
const maxFormats = 64

// formats caches parsed formats: parsing the same schema for every call would be most of the
// cost of an answer.
type formats struct {
	mu    sync.RWMutex
	known map[string]*responseFormat
}

func (f *formats) read(raw json.RawMessage) (*responseFormat, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	f.mu.RLock()
	format, ok := f.known[string(raw)]
	f.mu.RUnlock()
	if ok {
		return format, nil
	}
	format, err := parseFormat(raw)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil || len(f.known) >= maxFormats {
		f.known = map[string]*responseFormat{}
	}
	f.known[string(raw)] = format
	return format, nil
}

func parseFormat(raw json.RawMessage) (*responseFormat, error) {
	var asked *struct {
		Type       string `json:"type"`
		JSONSchema *struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if err := json.Unmarshal(raw, &asked); err != nil || asked == nil {
		return nil, err
	}
	format := &responseFormat{kind: asked.Type, schema: &schema{Type: "object", Properties: map[string]schema{"summary": {Type: "string"}}}}
	if asked.JSONSchema != nil {
		var s schema
		format.schema = nil
		if json.Unmarshal(asked.JSONSchema.Schema, &s) == nil {
			format.schema = &s
		}
	}
	return format, nil
}

// instance writes a value that is valid against the schema, with text for its strings. ok is
// false if the schema could not be parsed.
func (f *responseFormat) instance(text string) (value []byte, ok bool) {
	if f.schema == nil {
		return nil, false
	}
	v, err := json.Marshal(f.schema.value(text, f.schema.Defs, 0))
	return v, err == nil
}

// A schema is the part of JSON Schema that is needed to write an instance.
type schema struct {
	Type       any               `json:"type"` // a name or a list of names
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	MinItems   int               `json:"minItems"`
	MaxItems   *int              `json:"maxItems"`
	MinLength  int               `json:"minLength"`
	MaxLength  *int              `json:"maxLength"`
	Minimum    *float64          `json:"minimum"`
	Maximum    *float64          `json:"maximum"`
	Enum       []any             `json:"enum"`
	Const      any               `json:"const"`
	AnyOf      []schema          `json:"anyOf"`
	OneOf      []schema          `json:"oneOf"`
	AllOf      []schema          `json:"allOf"`
	Ref        string            `json:"$ref"`
	Defs       map[string]schema `json:"$defs"`
	Required   []string          `json:"required"`
}

func (s schema) value(text string, defs map[string]schema, depth int) any {
	if depth > 16 {
		return nil // a schema that contains itself
	}
	switch {
	case s.Const != nil:
		return s.Const
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Ref != "":
		return defs[strings.TrimPrefix(s.Ref, "#/$defs/")].value(text, defs, depth+1)
	case len(s.AnyOf) > 0:
		return s.AnyOf[0].value(text, defs, depth+1)
	case len(s.OneOf) > 0:
		return s.OneOf[0].value(text, defs, depth+1)
	case len(s.AllOf) > 0:
		return s.AllOf[0].value(text, defs, depth+1)
	}
	switch s.kind() {
	case "object":
		object := make(map[string]any, len(s.Properties))
		for name, property := range s.Properties {
			if depth > 4 && !slices.Contains(s.Required, name) {
				continue
			}
			object[name] = property.value(text, defs, depth+1)
		}
		return object
	case "array":
		n := max(2, s.MinItems)
		if s.MaxItems != nil {
			n = min(n, *s.MaxItems)
		}
		list := []any{}
		if s.Items == nil {
			return list
		}
		words := strings.Fields(text)
		for i := range n {
			part := words[i*len(words)/n : (i+1)*len(words)/n]
			list = append(list, s.Items.value(strings.Join(part[:min(len(part), 12)], " "), defs, depth+1))
		}
		return list
	case "integer", "number":
		n := 1.0
		if s.Minimum != nil {
			n = max(n, *s.Minimum)
		}
		if s.Maximum != nil {
			n = min(n, *s.Maximum)
		}
		return n
	case "boolean":
		return true
	case "null":
		return nil
	}
	if s.MaxLength != nil {
		text = cutWords(text, *s.MaxLength)
	}
	if short := s.MinLength - len([]rune(text)); short > 0 {
		text += strings.Repeat(".", short)
	}
	return text
}

func (s schema) kind() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		for _, item := range t {
			if name, ok := item.(string); ok && name != "null" {
				return name
			}
		}
		return "null"
	}
	if s.Properties != nil {
		return "object"
	}
	if s.Items != nil {
		return "array"
	}
	return "string"
}

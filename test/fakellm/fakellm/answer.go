package fakellm

import (
	"encoding/json"
	"slices"
	"strings"
)

// extract is the summary this model writes: the first lines of the prompt that
// look like prose, up to so many words. It depends on the prompt alone.
func extract(prompt string, words int) string {
	var out strings.Builder
	left := words
	for pass := range 2 {
		for line := range strings.Lines(prompt) {
			if pass == 0 && !isProse(line) {
				continue
			}
			for w := range strings.FieldsSeq(line) {
				if left == 0 {
					return out.String()
				}
				if out.Len() > 0 {
					out.WriteByte(' ')
				}
				out.WriteString(w)
				left--
			}
		}
		if out.Len() > 0 {
			return out.String()
		}
		// The second pass takes what the first found nothing in.
	}
	return "The document is empty."
}

// isProse leaves out headings, delimiters and lists.
func isProse(line string) bool {
	words := 0
	for range strings.FieldsSeq(line) {
		if words++; words == 8 {
			return true
		}
	}
	return strings.HasSuffix(strings.TrimSpace(line), ".")
}

// cutWords shortens text to about so many bytes, at a space.
func cutWords(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	if i := strings.LastIndexByte(text[:max(0, bytes)], ' '); i > 0 {
		return text[:i]
	}
	return strings.ToValidUTF8(text[:max(0, bytes)], "")
}

// A schema is the part of JSON schema that is needed to write an instance.
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

// instance writes a value that is valid against a schema, with text for its
// strings. ok is false when the schema cannot be read.
func instance(raw json.RawMessage, text string) (value []byte, ok bool) {
	var s schema
	if json.Unmarshal(raw, &s) != nil {
		return nil, false
	}
	v, err := json.Marshal(s.value(text, s.Defs, 0))
	return v, err == nil
}

func (s schema) value(text string, defs map[string]schema, depth int) any {
	if depth > 16 {
		return nil // a schema that holds itself
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

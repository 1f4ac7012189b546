package summarize

import (
	"encoding/json"
	"strings"

	"github.com/gistmill/gistmill/internal/summarize/lenient"
)

// object returns the JSON object in an answer that matches the schema: the last one that does, or
// the last one within others. Text around objects is ignored.
func (s *answerSchema) object(r reply) (ordered, *problem) {
	if r.content == "" {
		p := &problem{forModel: "it is empty", forLedger: "the answer is empty"}
		if r.thoughts {
			p.forLedger = "the answer is empty, and the model's thoughts are not: the server's reasoning parser may be wrong for the model"
		}
		return ordered{}, p
	}
	content := r.content
	if inner, ok := lenient.String(content); ok { // JSON within a JSON string
		content = inner
	}
	found, whole := lenient.Objects(content)
	if !whole || len(found) == 0 {
		return ordered{}, noObject()
	}
	var last *problem
	for i := len(found) - 1; i >= 0; i-- {
		v, err := parseOrdered(found[i])
		if err != nil {
			continue
		}
		p := s.validate(v)
		if p == nil {
			return v, nil
		}
		if inner, ok := s.within(v, 0); ok {
			return inner, nil
		}
		if last == nil {
			last = p
		}
	}
	if last == nil {
		last = noObject()
	}
	return ordered{}, last
}

func noObject() *problem {
	return &problem{forModel: "it is not a valid JSON object", forLedger: "the answer is not a valid JSON object"}
}

// mostWrappers bounds how deep the answer is looked for in an object that does not match.
const mostWrappers = 3

// within returns the object that matches the schema within a value that does not: in a list of
// one, or under another name ({"answer": {…}}, {"name": …, "arguments": {…}}, the schema's name,
// or "properties" of a model that fills in the schema). A field of the schema beside it shows that
// the value is the answer itself, and wrong. The summary is enough for the built-in schema.
func (s *answerSchema) within(v ordered, depth int) (ordered, bool) {
	if depth > 0 && s.names(v) && s.validate(v) == nil {
		return v, true
	}
	if !s.custom {
		for _, f := range v.fields {
			if _, ok := f.value.scalar.(string); ok && strings.EqualFold(f.name, "summary") {
				return ordered{kind: '{', fields: []field{{"summary", f.value}}}, true
			}
		}
	}
	if depth == mostWrappers || v.isSchema() || s.hasOwn(v) {
		return ordered{}, false
	}
	inner := v.items
	if len(v.items) > 1 {
		return ordered{}, false
	}
	for _, f := range v.fields {
		inner = append(inner, f.value)
	}
	for i := len(inner) - 1; i >= 0; i-- {
		x := inner[i]
		if text, ok := x.scalar.(string); ok { // JSON within a string
			found, whole := lenient.Objects(text)
			if !whole || len(found) != 1 || !strings.HasPrefix(strings.TrimSpace(text), "{") {
				continue
			}
			var err error
			if x, err = parseOrdered(found[0]); err != nil {
				continue
			}
		}
		if found, ok := s.within(x, depth+1); ok && x.kind != 0 {
			return found, true
		}
	}
	return ordered{}, false
}

// names reports whether an object has a field of the schema.
func (s *answerSchema) names(v ordered) bool {
	for _, f := range v.fields {
		if s.properties[f.name] {
			return true
		}
	}
	return false
}

// hasOwn reports whether an object has a field of the schema that wraps nothing.
func (s *answerSchema) hasOwn(v ordered) bool {
	for _, f := range v.fields {
		if s.properties[f.name] && f.value.kind != '{' && f.value.kind != '[' {
			return true
		}
	}
	return false
}

// isSchema reports an object that describes objects, as the schema does.
func (v ordered) isSchema() bool {
	typed := false
	for _, f := range v.fields {
		if f.name == "type" && f.value.scalar == "object" {
			typed = true
		}
	}
	for _, f := range v.fields {
		if f.name != "properties" || !typed {
			continue
		}
		for _, p := range f.value.fields {
			if p.value.kind != '{' {
				return false
			}
		}
		return true
	}
	return false
}

// bytesPerToken bounds how long an answer is for its cap. No text has as many bytes per token.
const (
	bytesPerToken = 20
	leastBytes    = 4096 // some endpoints ignore a small cap
)

// summary cleans the strings of a valid answer. It returns the text for people and, for a
// schema of the user, the whole object. cap is that of the answer, in tokens; 0 is none.
func (s *answerSchema) summary(object ordered, c cleaner, limit int) (string, json.RawMessage, *problem) {
	object = s.decoded(object)
	changed := false
	v := object.mapStrings(func(text string) string {
		cleaned := c.clean(text)
		changed = changed || cleaned != text
		return cleaned
	})
	if changed {
		if p := s.validate(v); p != nil {
			p.afterCleaning = true
			return "", nil, p
		}
	}
	text := v.summary()
	if text == "" {
		return "", nil, &problem{forModel: "its text is empty", forLedger: "the summary is empty"}
	}
	if p := usable(text, c.source.Text, limit); p != nil && (!s.custom || v.saysSummary() || p.tooLong) {
		return "", nil, p
	}
	if !s.custom {
		return text, nil, nil
	}
	return text, v.json(), nil
}

// decoded returns the answer that a model put as JSON into the summary of the built-in schema.
func (s *answerSchema) decoded(object ordered) ordered {
	if s.custom || len(object.fields) != 1 {
		return object
	}
	text, _ := object.fields[0].value.scalar.(string)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return object
	}
	if inner, p := s.object(reply{content: strings.TrimSpace(text)}); p == nil {
		return inner
	}
	return object
}

// saysSummary reports a text in the field "summary".
func (v ordered) saysSummary() bool {
	for _, f := range v.fields {
		if s, ok := f.value.scalar.(string); ok && f.name == "summary" && s != "" {
			return true
		}
	}
	return false
}

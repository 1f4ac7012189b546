package summarize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ordered is a JSON value that keeps the order of fields and the digits of numbers as the
// model wrote them.
type ordered struct {
	scalar any // string, json.Number, bool or nil
	fields []field
	items  []ordered
	kind   byte // '{', '[' or 0 for a scalar
}

type field struct {
	name  string
	value ordered
}

// parseOrdered reads the JSON value at the beginning of raw and ignores what follows it.
func parseOrdered(raw string) (ordered, error) {
	return readOrdered(jsontext.NewDecoder(strings.NewReader(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)))
}

func readOrdered(d *jsontext.Decoder) (v ordered, err error) {
	tok, err := d.ReadToken()
	if err != nil {
		return v, fmt.Errorf("read JSON: %w", err)
	}
	switch tok.Kind() {
	case '"':
		v.scalar = tok.String()
	case '0':
		v.scalar = json.Number(tok.String())
	case 't', 'f':
		v.scalar = tok.Bool()
	case '{', '[':
		v.kind = byte(tok.Kind())
		for d.PeekKind() != '}' && d.PeekKind() != ']' {
			var f field
			if v.kind == '{' {
				if tok, err = d.ReadToken(); err != nil {
					return v, fmt.Errorf("read JSON: %w", err)
				}
				f.name = tok.String()
			}
			if f.value, err = readOrdered(d); err != nil {
				return v, err
			}
			if v.kind == '{' {
				v.fields = append(v.fields, f)
			} else {
				v.items = append(v.items, f.value)
			}
		}
		if _, err = d.ReadToken(); err != nil {
			return v, fmt.Errorf("read JSON: %w", err)
		}
	}
	return v, nil
}

// tree returns v as encoding/json decodes it: the last of several fields with one name counts.
func (v ordered) tree() any {
	switch v.kind {
	case '{':
		fields := make(map[string]any, len(v.fields))
		for _, f := range v.fields {
			fields[f.name] = f.value.tree()
		}
		return fields
	case '[':
		items := make([]any, len(v.items))
		for i, x := range v.items {
			items[i] = x.tree()
		}
		return items
	}
	return v.scalar
}

// mapStrings returns v with f applied to every string value, but not to names of fields.
func (v ordered) mapStrings(f func(string) string) ordered {
	if s, ok := v.scalar.(string); ok {
		v.scalar = f(s)
	}
	out := v
	out.fields, out.items = nil, nil
	for _, x := range v.fields {
		out.fields = append(out.fields, field{x.name, x.value.mapStrings(f)})
	}
	for _, x := range v.items {
		out.items = append(out.items, x.mapStrings(f))
	}
	return out
}

// json writes v without space between its tokens.
func (v ordered) json() json.RawMessage {
	var b bytes.Buffer
	v.write(&b)
	return b.Bytes()
}

func (v ordered) write(b *bytes.Buffer) {
	switch v.kind {
	case '{':
		b.WriteByte('{')
		for i, f := range v.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			writeScalar(b, f.name)
			b.WriteByte(':')
			f.value.write(b)
		}
		b.WriteByte('}')
	case '[':
		b.WriteByte('[')
		for i, x := range v.items {
			if i > 0 {
				b.WriteByte(',')
			}
			x.write(b)
		}
		b.WriteByte(']')
	default:
		writeScalar(b, v.scalar)
	}
}

func writeScalar(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // strings, numbers, booleans and null always encode
	b.Truncate(b.Len() - 1)
}

// summary is the text for people: the field "summary" if it is a string, else all fields,
// one on each line.
func (v ordered) summary() string {
	for _, f := range v.fields {
		if s, ok := f.value.scalar.(string); ok && f.name == "summary" && s != "" {
			return s
		}
	}
	if !v.hasText() {
		return ""
	}
	var b strings.Builder
	v.render(&b, 0)
	return strings.TrimSpace(b.String())
}

// hasText reports whether v contains a scalar other than an empty string or null.
func (v ordered) hasText() bool {
	for _, f := range v.fields {
		if f.value.hasText() {
			return true
		}
	}
	for _, x := range v.items {
		if x.hasText() {
			return true
		}
	}
	return v.kind == 0 && v.scalar != nil && v.scalar != ""
}

func (v ordered) render(b *strings.Builder, depth int) {
	indent := strings.Repeat("  ", depth)
	for _, f := range v.fields {
		if !f.value.hasText() {
			continue
		}
		b.WriteString(indent + strings.ReplaceAll(f.name, "_", " ") + ":")
		f.value.after(b, depth)
	}
	for _, x := range v.items {
		if x.hasText() {
			b.WriteString(indent + "-")
			x.after(b, depth)
		}
	}
}

// after writes v after a name or a bullet: a scalar on the same line, other values below.
func (v ordered) after(b *strings.Builder, depth int) {
	if v.kind == 0 {
		fmt.Fprintf(b, " %v\n", v.scalar)
		return
	}
	b.WriteByte('\n')
	v.render(b, depth+1)
}

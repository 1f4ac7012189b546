// Package lenient finds the JSON in a model's answer, also where it breaks the grammar in one of
// the ways in which models do.
//
// It owns the grammar that it accepts beyond JSON. It refuses to complete what is missing: an
// object without its closing brace was cut, and half an answer is none. It refuses to own which
// object is the answer.
package lenient

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// mostDepth bounds how deep values are nested.
	mostDepth = 100
	// mostStarts bounds how many places are tried.
	mostStarts = 500
)

// Objects returns the objects and lists of objects in a text as JSON, in their order, without those
// within others. If an object at the end of the text is not complete, whole is false and none are
// returned: what precedes it may be a draft.
//
// Beyond JSON it accepts comments, commas after the last element, line breaks and other control
// characters in strings, escapes that JSON does not know, quotation marks in strings that do not
// end them, typographic and single quotation marks around strings, names without any, a missing
// comma between two lines, and Python's True, False and None.
func Objects(text string) (found []string, whole bool) {
	tries := 0
	for at := 0; at < len(text) && tries < mostStarts; {
		next := strings.IndexAny(text[at:], "{[")
		if next < 0 {
			break
		}
		at += next
		tries++
		if v, n := strict(text[at:]); n > 0 {
			if isObjects(v) {
				found = append(found, v)
			}
			at += n
			continue
		}
		r := reader{text: text, at: at}
		switch ok := r.value(0); {
		case ok && isObjects(r.out.String()):
			found = append(found, r.out.String())
			at = r.at
		case !ok && r.at >= len(text) && text[at] == '{' && r.fields > 0:
			return nil, false
		default:
			at++
		}
	}
	return found, true
}

// String reads a text that is one JSON string and returns its content.
func String(text string) (content string, ok bool) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, `"`) || !strings.HasSuffix(text, `"`) {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, text)
	return string(b), err == nil
}

// strict reads JSON at the beginning of a text, and returns it with its length.
func strict(text string) (string, int) {
	d := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	v, err := d.ReadValue()
	if err != nil {
		return "", 0
	}
	return string(v), len(v)
}

// isObjects reports an object, or a list that begins with one.
func isObjects(v string) bool {
	return v[0] == '{' || strings.HasPrefix(strings.TrimLeft(v[1:], " \t\r\n"), "{")
}

// reader reads one value and writes it as JSON.
type reader struct {
	text   string
	at     int
	out    strings.Builder
	fields int // names that were read: with one of them an object is more than a brace in prose
}

// peek returns the next byte after space and comments, or 0 at the end.
func (r *reader) peek() byte {
	for r.at < len(r.text) {
		rest := r.text[r.at:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			r.at++
		case strings.HasPrefix(rest, "\u00a0"), strings.HasPrefix(rest, "\ufeff"):
			_, n := utf8.DecodeRuneInString(rest)
			r.at += n
		case strings.HasPrefix(rest, "//"):
			r.skipTo("\n")
		case strings.HasPrefix(rest, "/*"):
			r.skipTo("*/")
		default:
			return rest[0]
		}
	}
	return 0
}

func (r *reader) skipTo(end string) {
	n := strings.Index(r.text[r.at:], end)
	if n < 0 {
		r.at = len(r.text)
		return
	}
	r.at += n + len(end)
}

func (r *reader) value(depth int) bool {
	if depth > mostDepth {
		return false
	}
	switch c := r.peek(); {
	case c == '{' || c == '[':
		return r.members(c, depth)
	case r.quote() != "":
		return r.string(c == '{')
	case c == 0:
		return false
	}
	for word, json := range words {
		if strings.HasPrefix(r.text[r.at:], word) && !isName(r.byteAt(r.at+len(word))) {
			r.at += len(word)
			r.out.WriteString(json)
			return true
		}
	}
	v, n := strict(r.text[r.at:])
	if n == 0 || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return false
	}
	r.at += n
	r.out.WriteString(v)
	return true
}

//nolint:gochecknoglobals // never changed
var words = map[string]string{"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}

// members reads an object or a list.
func (r *reader) members(open byte, depth int) bool {
	end := map[byte]byte{'{': '}', '[': ']'}[open]
	r.at++
	r.out.WriteByte(open)
	for n := 0; ; n++ {
		if r.peek() == end {
			r.at++
			r.out.WriteByte(end)
			return true
		}
		if n > 0 {
			r.out.WriteByte(',')
		}
		if open == '{' && !r.name() || !r.value(depth+1) {
			return false
		}
		before := r.at
		switch c := r.peek(); {
		case c == ',':
			r.at++
			if r.peek() == end { // a comma after the last element
				continue
			}
		case c == end:
		case open == '{' && strings.Contains(r.text[before:r.at], "\n") && startsField(r.text[r.at:]):
			// a missing comma between two lines
		default:
			return false
		}
		if r.peek() == end {
			r.at++
			r.out.WriteByte(end)
			return true
		}
	}
}

// name reads the name of a field and the colon after it.
func (r *reader) name() bool {
	r.peek()
	if r.quote() != "" {
		if !r.string(true) {
			return false
		}
	} else {
		from := r.at
		for isName(r.byteAt(r.at)) {
			r.at++
		}
		name := r.text[from:r.at]
		if name == "" || name[0] >= '0' && name[0] <= '9' || name[0] == '-' {
			return false
		}
		r.out.WriteString(`"` + name + `"`)
	}
	if r.peek() != ':' {
		return false
	}
	r.at++
	r.fields++
	r.out.WriteByte(':')
	return true
}

func (r *reader) byteAt(i int) byte {
	if i < len(r.text) {
		return r.text[i]
	}
	return 0
}

func isName(c byte) bool {
	return c == '_' || c == '-' || c == '$' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}

// quote returns the mark that ends the string at this place, or "" if none begins here.
func (r *reader) quote() string {
	for _, q := range [][2]string{{`"`, `"`}, {"'", "'"}, {"“", "”"}, {"„", "“"}} {
		if strings.HasPrefix(r.text[r.at:], q[0]) {
			return q[1]
		}
	}
	return ""
}

// string reads a string. A mark ends it only if what follows goes on with the object.
func (r *reader) string(name bool) bool {
	end := r.quote()
	_, n := utf8.DecodeRuneInString(r.text[r.at:])
	r.at += n
	var s strings.Builder
	for r.at < len(r.text) {
		rest := r.text[r.at:]
		switch {
		case strings.HasPrefix(rest, end) && ends(rest[len(end):], name):
			r.at += len(end)
			b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s.String(), "\ufffd"))
			r.out.Write(b)
			return err == nil
		case rest[0] == '\\' && len(rest) > 1:
			r.at += escape(rest, &s)
		default:
			s.WriteByte(rest[0])
			r.at++
		}
	}
	return false
}

// ends reports that a mark with rest after it ends a string: the name's colon follows, or the end
// of the object or list, or a comma and the next field or element.
func ends(rest string, name bool) bool {
	rest = strings.TrimLeft(rest, " \t\r\n")
	switch {
	case rest == "":
		return true
	case name:
		return rest[0] == ':'
	case rest[0] == '}' || rest[0] == ']' || strings.HasPrefix(rest, "//") || strings.HasPrefix(rest, "/*"):
		return true
	case rest[0] == ',':
		next := strings.TrimLeft(rest[1:], " \t\r\n")
		return next == "" || strings.IndexByte(`}]"'{[/`, next[0]) >= 0 && !startsProse(next) || startsField(next)
	}
	return startsField(rest)
}

// startsProse reports that a mark after a comma opens or closes a quotation within a text, as in
// "yes", "no" and more: what it quotes is followed neither by a colon nor by a comma or an end.
func startsProse(next string) bool {
	if next[0] != '"' && next[0] != '\'' {
		return false
	}
	end := strings.IndexByte(next[1:], next[0])
	if end < 0 {
		return false
	}
	after := strings.TrimLeft(next[end+2:], " \t\r\n")
	return after != "" && strings.IndexByte(":,]}/", after[0]) < 0
}

// startsField reports that a text begins with the name of a field and a colon.
func startsField(text string) bool {
	if text == "" {
		return false
	}
	if q := text[0]; q == '"' || q == '\'' {
		end := strings.IndexByte(text[1:], q)
		return end > 0 && end < 100 && strings.HasPrefix(strings.TrimLeft(text[end+2:], " \t\r\n"), ":")
	}
	n := 0
	for n < len(text) && isName(text[n]) {
		n++
	}
	return n > 0 && n < 100 && strings.HasPrefix(strings.TrimLeft(text[n:], " \t\r\n"), ":") && text[0] > '9'
}

// escape reads an escape sequence, writes what it means, and returns its length. A backslash before
// another character is part of the text.
func escape(rest string, s *strings.Builder) int {
	if rest[1] == '\'' {
		s.WriteByte('\'')
		return 2
	}
	n := 2
	if rest[1] == 'u' {
		n = 6
		if len(rest) >= 12 && strings.HasPrefix(rest[6:], `\u`) {
			n = 12 // perhaps a pair of surrogates
		}
	}
	for ; n >= 2; n -= 6 {
		if len(rest) >= n {
			if b, err := jsontext.AppendUnquote(nil, `"`+rest[:n]+`"`); err == nil {
				s.Write(b)
				return n
			}
		}
	}
	s.WriteByte('\\')
	return 1
}

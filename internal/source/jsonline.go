package source

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxIDBytes limits an id, which becomes part of a URI and so of database keys.
const maxIDBytes = 512

// maxFieldBytes limits the other fields of a line, which the ledger keeps.
const maxFieldBytes = 16 << 10

// maxJSONDepth is the nesting that encoding/json accepts.
const maxJSONDepth = 10000

// lineFields names the two keys of a JSONL line that are read.
type lineFields struct{ id, text string }

// lineError says why a line of a JSONL file is not a document.
type lineError struct{ reason string }

func (e *lineError) Error() string { return e.reason }

// find checks that line is one JSON object. It returns the decoded id, and the raw text value
// with its quotes. If a key occurs twice, the last value counts, as in encoding/json. find
// scans the line once and builds no values, because listing spends most of its time here. each is
// for [lineFields.values].
func (f lineFields) find(line []byte, each func(key, value []byte)) (id, text []byte, err error) {
	rawID, rawText, err := f.values(line, each)
	switch {
	case err != nil:
		return nil, nil, err
	case rawID == nil:
		return nil, nil, &lineError{fmt.Sprintf("no field %q (--id-field)", f.id)}
	case rawText == nil:
		return nil, nil, &lineError{fmt.Sprintf("no field %q (--text-field)", f.text)}
	case rawText[0] != '"':
		return nil, nil, &lineError{fmt.Sprintf("field %q is not a string (--text-field)", f.text)}
	}
	switch c := rawID[0]; {
	case c == '"':
		id = unquote(rawID)
	case c == '-' || c >= '0' && c <= '9':
		id = rawID
	default:
		return nil, nil, &lineError{fmt.Sprintf("field %q is neither a string nor a number (--id-field)", f.id)}
	}
	switch {
	case len(id) == 0:
		return nil, nil, &lineError{fmt.Sprintf("field %q is empty (--id-field)", f.id)}
	case len(id) > maxIDBytes:
		return nil, nil, &lineError{fmt.Sprintf("field %q is longer than %d bytes (--id-field)", f.id, maxIDBytes)}
	}
	return id, rawText, nil
}

// values checks that line is one JSON object and returns the raw values of the two fields, nil
// for a missing one. It calls each, if not nil, with every quoted key and its raw value.
func (f lineFields) values(line []byte, each func(key, value []byte)) (id, text []byte, err error) {
	p := jsonScanner{data: line}
	p.space()
	if !p.accept('{') {
		if p.value(0) && p.end() {
			return nil, nil, &lineError{"not a JSON object"}
		}
		return nil, nil, p.invalid()
	}
	p.space()
	for more := !p.accept('}'); more; {
		keyAt := p.pos
		if !p.string() {
			return nil, nil, p.invalid()
		}
		key := line[keyAt:p.pos]
		p.space()
		if !p.accept(':') {
			return nil, nil, p.invalid()
		}
		p.space()
		valueAt := p.pos
		if !p.value(1) {
			return nil, nil, p.invalid()
		}
		value := line[valueAt:p.pos]
		if each != nil {
			each(key, value)
		}
		if keyIs(key, f.id) {
			id = value
		}
		if keyIs(key, f.text) {
			text = value
		}
		p.space()
		if p.accept(',') {
			p.space()
		} else if more = false; !p.accept('}') {
			return nil, nil, p.invalid()
		}
	}
	if !p.end() {
		return nil, nil, p.invalid()
	}
	return id, text, nil
}

// others returns the fields of a line without the id and the text, as a JSON object in their order.
// If a key occurs twice, the last value counts. Bytes that are not UTF-8 become U+FFFD. Fields
// with more than maxFieldBytes are not returned, only their size.
func (f lineFields) others(line []byte) (object []byte, tooLarge int64) {
	type member struct{ key, value []byte }
	var members []member
	size := 1
	if _, _, err := f.values(line, func(key, value []byte) {
		if keyIs(key, f.id) || keyIs(key, f.text) {
			return
		}
		if size += len(key) + len(value) + 2; size <= maxFieldBytes {
			members = append(members, member{key, value})
		}
	}); err != nil || size == 1 {
		return nil, 0
	}
	if size > maxFieldBytes {
		return nil, int64(size)
	}
	last := make(map[string]int, len(members))
	for i, m := range members {
		last[string(unquote(m.key))] = i
	}
	object = append(make([]byte, 0, size+1), '{')
	for i, m := range members {
		if last[string(unquote(m.key))] != i {
			continue
		}
		if len(object) > 1 {
			object = append(object, ',')
		}
		object = append(append(append(object, m.key...), ':'), m.value...)
	}
	return bytes.ToValidUTF8(append(object, '}'), []byte("\uFFFD")), 0
}

func (f lineFields) withDefaults() lineFields {
	return lineFields{id: cmp.Or(f.id, defaultIDField), text: cmp.Or(f.text, defaultTextField)}
}

// hasText reports whether a line is a JSON object with the text field, with any id or none.
func (f lineFields) hasText(line []byte) bool {
	_, text, err := f.values(line, nil)
	return err == nil && text != nil && text[0] == '"'
}

// keyIs reports whether a quoted key is name.
func keyIs(quoted []byte, name string) bool {
	inner := quoted[1 : len(quoted)-1]
	if string(inner) == name {
		return true
	}
	return bytes.IndexByte(inner, '\\') >= 0 && string(unquote(quoted)) == name
}

// unquote decodes a valid JSON string. Bytes that are not UTF-8 become U+FFFD. The result is a
// part of quoted unless the string has escapes or such bytes.
func unquote(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return inner
	}
	// The only possible error is about bytes that are not UTF-8, which are decoded nevertheless: the
	// scanner has accepted the string.
	text, _ := jsontext.AppendUnquote(nil, quoted)
	return text
}

// jsonScanner checks one JSON text against RFC 8259.
type jsonScanner struct {
	data []byte
	pos  int
	deep bool
}

func (p *jsonScanner) invalid() error {
	switch {
	case p.deep:
		return &lineError{"not valid JSON: nested too deeply"}
	case p.pos >= len(p.data):
		return &lineError{"not valid JSON: it ends too early"}
	}
	return &lineError{"not valid JSON at byte " + strconv.Itoa(p.pos+1)}
}

func (p *jsonScanner) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *jsonScanner) accept(c byte) bool {
	if p.pos < len(p.data) && p.data[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *jsonScanner) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// end reports whether only white space is left.
func (p *jsonScanner) end() bool {
	p.space()
	return p.pos == len(p.data)
}

func (p *jsonScanner) value(depth int) bool {
	switch c := p.peek(); c {
	case '"':
		return p.string()
	case '{':
		return p.object(depth + 1)
	case '[':
		return p.array(depth + 1)
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	default:
		return p.number()
	}
}

func (p *jsonScanner) object(depth int) bool {
	if depth > maxJSONDepth {
		p.deep = true
		return false
	}
	p.pos++
	p.space()
	if p.accept('}') {
		return true
	}
	for {
		if !p.string() {
			return false
		}
		p.space()
		if !p.accept(':') {
			return false
		}
		p.space()
		if !p.value(depth) {
			return false
		}
		p.space()
		if p.accept('}') {
			return true
		}
		if !p.accept(',') {
			return false
		}
		p.space()
	}
}

func (p *jsonScanner) array(depth int) bool {
	if depth > maxJSONDepth {
		p.deep = true
		return false
	}
	p.pos++
	p.space()
	if p.accept(']') {
		return true
	}
	for {
		if !p.value(depth) {
			return false
		}
		p.space()
		if p.accept(']') {
			return true
		}
		if !p.accept(',') {
			return false
		}
		p.space()
	}
}

func (p *jsonScanner) literal(word string) bool {
	if len(p.data)-p.pos >= len(word) && string(p.data[p.pos:p.pos+len(word)]) == word {
		p.pos += len(word)
		return true
	}
	return false
}

func (p *jsonScanner) number() bool {
	p.accept('-')
	switch {
	case p.accept('0'):
	case !p.digits():
		return false
	}
	if p.accept('.') && !p.digits() {
		return false
	}
	if p.accept('e') || p.accept('E') {
		if !p.accept('+') {
			p.accept('-')
		}
		return p.digits()
	}
	return true
}

func (p *jsonScanner) digits() bool {
	start := p.pos
	for p.pos < len(p.data) && p.data[p.pos]-'0' <= 9 {
		p.pos++
	}
	return p.pos > start
}

// string scans a string. It tests eight bytes at a time for a quote, a backslash or a control
// character with carry tricks (Warren, Hacker's Delight, 6-1). Only the lowest reported byte is
// exact, and only that byte is used.
func (p *jsonScanner) string() bool {
	if !p.accept('"') {
		return false
	}
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	data, i := p.data, p.pos
	for {
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			hit := ((quote - ones) &^ quote) | ((slash - ones) &^ slash) | ((w - ones*0x20) &^ w)
			if hit &= highs; hit == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(hit) >> 3
			break
		}
		if i >= len(data) {
			p.pos = len(data)
			return false
		}
		switch c := data[i]; {
		case c == '"':
			p.pos = i + 1
			return true
		case c == '\\':
			n := escapeLength(data[i:])
			if n == 0 {
				p.pos = i
				return false
			}
			i += n
		case c < 0x20:
			p.pos = i
			return false
		default:
			i++
		}
	}
}

// escapeLength returns the length of the escape sequence at the start of b, 0 if there is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && unhex(b[2]) < 16 && unhex(b[3]) < 16 && unhex(b[4]) < 16 && unhex(b[5]) < 16 {
			return 6
		}
	}
	return 0
}

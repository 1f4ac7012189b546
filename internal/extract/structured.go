package extract

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"

	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gistmill/gistmill/internal/source"
)

// looksLikeJSON requires a valid object or array, or the name of a JSON file and the start of
// one.
func looksLikeJSON(data, head []byte, ext string) bool {
	rest := bytes.TrimLeft(head, " \t\r\n")
	if len(rest) == 0 || rest[0] != '{' && rest[0] != '[' {
		return false
	}
	if ext == ".json" || ext == ".geojson" || ext == ".ipynb" {
		return true
	}
	// With these options it accepts what encoding/json accepts. A bytes.Buffer is read in place.
	d := jsontext.NewDecoder(bytes.NewBuffer(decode(data, "")), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return d.SkipValue() == nil
}

// readJSON writes one JSON document, or several in sequence, as indented lines of keys and
// values, without quotes and braces.
func readJSON(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	d := json.NewDecoder(bytes.NewReader(decode(raw.Data, "")))
	d.UseNumber()
	w := jsonText{max: x.limits.Text}
	for count := 0; ; count++ {
		if count&1023 == 0 && ctx.Err() != nil {
			return extracted{}, ctx.Err()
		}
		token, err := d.Token()
		if err == io.EOF && len(w.open) == 0 {
			return extracted{text: w.out}, nil
		}
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
				return extracted{}, inputError("truncated JSON: it ends too early")
			}
			return extracted{}, inputError("broken JSON at byte %d", d.InputOffset())
		}
		w.token(token)
		if len(w.open) > x.limits.Depth {
			return extracted{}, inputError("JSON nested deeper than %d levels", x.limits.Depth)
		}
		if int64(len(w.out)) > w.max {
			return extracted{}, x.tooMuchText()
		}
	}
}

// jsonText writes tokens as lines.
type jsonText struct {
	out  []byte
	max  int64
	open []jsonLevel
}

type jsonLevel struct {
	object bool
	key    bool // the next token of an object is a key
}

// maxIndent keeps deep documents from growing by their white space. The text has at most six
// times the size of the JSON.
const maxIndent = 4

func (w *jsonText) token(t json.Token) {
	var top *jsonLevel
	if n := len(w.open); n > 0 {
		top = &w.open[n-1]
	}
	if d, ok := t.(json.Delim); ok {
		switch d {
		case '{', '[':
			if top != nil && !top.object {
				w.line("-")
			}
			if top != nil {
				top.key = true
			}
			w.open = append(w.open, jsonLevel{object: d == '{', key: true})
		default:
			w.open = w.open[:len(w.open)-1]
			if len(w.open) == 0 {
				w.out = append(w.out, '\n')
			}
		}
		return
	}
	if top != nil && top.object && top.key {
		w.line(t.(string) + ":")
		top.key = false
		return
	}
	value := jsonScalar(t)
	switch {
	case top != nil && top.object:
		w.out = append(append(w.out, ' '), value...)
		top.key = true
	case top != nil:
		w.line("- " + value)
	default:
		w.line(value)
	}
}

func (w *jsonText) line(s string) {
	if len(w.out) > 0 {
		w.out = append(w.out, '\n')
	}
	for range min(len(w.open)-1, maxIndent) {
		w.out = append(w.out, "  "...)
	}
	w.out = append(w.out, s...)
}

func jsonScalar(t json.Token) string {
	switch v := t.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return "null"
}

// looksLikeCSV requires rows with the same number of fields. If the name does not say CSV, it
// requires many rows and short fields, because prose has commas too.
func looksLikeCSV(head []byte, cut bool, ext string) bool {
	named := ext == ".csv" || ext == ".tsv"
	if cut {
		if i := bytes.LastIndexByte(head, '\n'); i > 0 {
			head = head[:i]
		}
	}
	comma := csvComma(head, ext)
	if comma == 0 {
		return named
	}
	if named {
		return true
	}
	switch ext {
	case ".md", ".markdown", ".txt", ".log":
		return false
	}
	r := csv.NewReader(bytes.NewReader(head))
	r.Comma = comma
	rows, fields := 0, 0
	for {
		record, err := r.Read()
		if err == io.EOF {
			return rows >= 5 && fields >= 3
		}
		if err != nil {
			return false
		}
		for _, f := range record {
			if len(f) > 100 || strings.HasSuffix(f, ".") {
				return false
			}
		}
		rows, fields = rows+1, len(record)
	}
}

// csvComma returns the most frequent separator of the first line, 0 if there is none.
func csvComma(head []byte, ext string) rune {
	first, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte{'\n'})
	best, most := rune(0), 0
	for _, c := range ",;\t|" {
		if n := bytes.Count(first, []byte(string(c))); n > most || n > 0 && c == '\t' && ext == ".tsv" {
			best, most = c, n
		}
	}
	return best
}

// readCSV writes each row as a line of "name: value" pairs, with the names in the first row.
// Without names it separates the values by bars.
func readCSV(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	text := decode(raw.Data, "")
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	r.ReuseRecord = true
	if c := csvComma(text[:min(len(text), headBytes)], ".csv"); c != 0 {
		r.Comma = c
	}
	var out []byte
	var names []string
	for row := 0; ; row++ {
		if row&255 == 0 && ctx.Err() != nil {
			return extracted{}, ctx.Err()
		}
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return extracted{}, inputError("broken CSV: row %d cannot be read", row+1)
		}
		if row == 0 && namesColumns(record) {
			names = append([]string(nil), record...)
			continue
		}
		if out = appendRow(out, names, record); int64(len(out)) > x.limits.Text {
			return extracted{}, x.tooMuchText()
		}
	}
	if len(out) == 0 {
		out = []byte(strings.Join(names, " | "))
	}
	return extracted{text: out}, nil
}

func appendRow(out []byte, names, record []string) []byte {
	empty := true
	for i, v := range record {
		v = strings.Join(strings.Fields(v), " ")
		if v == "" {
			continue
		}
		switch {
		case empty:
		case names != nil:
			out = append(out, "; "...)
		default:
			out = append(out, " | "...)
		}
		empty = false
		if i < len(names) && names[i] != "" {
			out = append(append(out, strings.TrimSpace(names[i])...), ": "...)
		}
		out = append(out, v...)
	}
	if !empty {
		out = append(out, '\n')
	}
	return out
}

// namesColumns reports whether a row can name the columns: short, different, and no numbers.
func namesColumns(record []string) bool {
	if len(record) < 2 {
		return false
	}
	seen, size := map[string]bool{}, 0
	for _, f := range record {
		f = strings.TrimSpace(f)
		if len(f) > 60 || f != "" && (f[0] >= '0' && f[0] <= '9' || f[0] == '-') || f != "" && seen[f] {
			return false
		}
		seen[f] = true
		size += len(f)
	}
	return size <= maxColumnName*len(record) // the names are repeated in every row
}

// maxColumnName limits the average length of column names, in bytes.
const maxColumnName = 24

// looksLikeXML requires the declaration. HTML has been ruled out before.
func looksLikeXML(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("<?xml"))
}

// readXMLText returns the text of an XML document, with a line for each element.
func readXMLText(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	b := blocks{max: x.limits.Text}
	count := 0
	err := x.readXML(bytes.NewReader(decode(raw.Data, xmlCharset(raw.Data))), "XML", func(e xmlEvent) error {
		if count++; count&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if e.text != nil {
			b.text(e.text)
		} else {
			b.newline()
		}
		if b.full {
			return x.tooMuchText()
		}
		return nil
	})
	return extracted{text: b.out}, err
}

// xmlCharset reads the encoding from an XML declaration.
func xmlCharset(data []byte) string {
	head := data[:min(len(data), 256)]
	if i := bytes.IndexByte(head, '>'); i > 0 {
		head = head[:i]
	}
	_, after, ok := bytes.Cut(head, []byte("encoding="))
	if !ok || len(after) < 2 {
		return ""
	}
	name, _, _ := bytes.Cut(after[1:], after[:1])
	return string(name)
}

package extract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"

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

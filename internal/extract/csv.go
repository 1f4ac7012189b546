package extract

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"strings"

	"github.com/gistmill/gistmill/internal/source"
	"github.com/gistmill/gistmill/internal/text"
)

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
		v = text.OneLine(v)
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

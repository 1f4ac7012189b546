package ledger

import (
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/gistmill/gistmill/internal/text"
)

// Fields are the fields of a JSON line besides its id and text.
type Fields struct {
	// JSON is an object, nil without fields or if they are too large.
	JSON json.RawMessage
	// TooLarge is the size in bytes of fields that were not kept; else 0.
	TooLarge int64
}

// column returns the value of the column results.fields.
func (f Fields) column() any {
	switch {
	case f.TooLarge > 0:
		return "!" + strconv.FormatInt(f.TooLarge, 10)
	case len(f.JSON) > 0:
		return string(f.JSON)
	}
	return nil
}

// ReadFields converts a value of the column results.fields.
func ReadFields(column sql.NullString) Fields {
	size, tooLarge := strings.CutPrefix(column.String, "!")
	switch {
	case tooLarge:
		n, _ := strconv.ParseInt(size, 10, 64) // column wrote it
		return Fields{TooLarge: n}
	case column.String != "":
		return Fields{JSON: json.RawMessage(column.String)}
	}
	return Fields{}
}

// LineID returns the id of a JSON line; empty for a document without a locator, which is a whole
// file. The locator ends in @ and the length of the file's URI in base 36.
func LineID(uri, locator string) string {
	_, length, ok := strings.Cut(locator, "@")
	n, err := strconv.ParseInt(length, 36, 32)
	if !ok || err != nil || n < 0 || int(n) >= len(uri) {
		return ""
	}
	return text.UnescapeName(uri[n+1:])
}

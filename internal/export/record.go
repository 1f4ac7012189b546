// Package export writes the ledger's summaries to files: JSON lines, CSV, Parquet, and one page
// (Markdown) for each document.
//
// It owns the formats, the names of files, and that files of lines and rows appear complete or not
// at all. It refuses to own which summaries are exported: it reads a [Stream] and keeps no more
// than a batch in memory.
package export

import (
	"encoding/json"
	"hash/maphash"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/text"
)

// Stream calls yield with one summary after another, and returns the first error.
type Stream = func(yield func(ledger.Exported) error) error

// Record is a document's summary as exported. Its JSON fields and their order are an interface for
// users.
type Record struct {
	URI           string          `json:"uri"`
	ID            string          `json:"id,omitempty"`   // of a JSON line
	Page          string          `json:"page,omitempty"` // relative to the output folder
	Source        string          `json:"source"`         // URL
	Run           string          `json:"run"`            // that made the document's summary
	SummarizedAt  string          `json:"summarized_at"`  // RFC 3339, UTC
	ContentSHA256 string          `json:"content_sha256"`
	Title         string          `json:"title"`
	Summary       string          `json:"summary"`
	Output        json.RawMessage `json:"output,omitempty"` // whole; custom schemas only
	Model         string          `json:"model"`            // that answered
	Endpoint      string          `json:"endpoint"`         // host; empty: built-in engine
	Profile       string          `json:"profile"`          // hash
	TokensIn      int64           `json:"tokens_in"`
	TokensOut     int64           `json:"tokens_out"`
	CostUSD       *float64        `json:"cost_usd"` // null: the price is unknown
	Chunks        int64           `json:"chunks"`
	Checks        json.RawMessage `json:"checks"` // findings, an array
	// Fields are the other fields of a JSON line. If they are too large, FieldsTooLarge has their
	// size in bytes instead.
	Fields         json.RawMessage `json:"fields,omitempty"`
	FieldsTooLarge int64           `json:"fields_too_large,omitempty"`
}

// RecordOf returns the exported form of a summary.
func RecordOf(e ledger.Exported) Record {
	r := Record{
		URI: e.URI, Source: e.Source, Run: e.Run, SummarizedAt: e.Summary.Created.UTC().Format(time.RFC3339), ContentSHA256: e.ContentSHA256, Title: e.Summary.Title, Summary: e.Summary.Text,
		Output: e.Summary.Output, Model: e.Summary.Model, Endpoint: e.Summary.Endpoint, Profile: e.Profile, TokensIn: e.Summary.TokensIn, TokensOut: e.Summary.TokensOut,
		CostUSD: USD(e.Summary.CostNano), Chunks: e.Summary.Chunks, Checks: e.Summary.Checks,
		ID: e.ID, Fields: e.Fields.JSON, FieldsTooLarge: e.Fields.TooLarge,
	}
	if strings.TrimSpace(r.Title) == "" {
		r.Title = titleField(r.Fields)
	}
	if len(r.Checks) == 0 {
		r.Checks = json.RawMessage("[]")
	}
	return r
}

// titleField returns the title that a JSON line has in a field of its own; empty without one.
func titleField(fields json.RawMessage) string {
	var f map[string]json.RawMessage
	if len(fields) == 0 || json.Unmarshal(fields, &f) != nil {
		return ""
	}
	for _, name := range []string{"title", "subject", "headline", "name"} {
		var title string
		if json.Unmarshal(f[name], &title) == nil && strings.TrimSpace(title) != "" {
			return text.OneLine(title)
		}
	}
	return ""
}

// USD converts nano-USD to USD; nil, for an unknown price, stays nil.
func USD(nano *int64) *float64 {
	if nano == nil {
		return nil
	}
	usd := float64(*nano) / 1e9
	return &usd
}

// seed differs in each process, so that no document can be made to collide with another.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // made once, never changed

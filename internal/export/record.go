// Package export turns summaries of the ledger into files: JSON lines, Parquet, and a Markdown file a document.
//
// It owns the formats, the names of files, and that a file is there whole or not at all. It refuses to own which
// summaries are exported: it is given a stream and keeps no more than a batch of it in memory.
package export

import (
	"encoding/json"
	"hash/maphash"

	"github.com/gistmill/gistmill/internal/ledger"
)

// Stream gives summaries one after the other to yield, and ends with the first error.
type Stream = func(yield func(ledger.Exported) error) error

// Record is a document's summary as exported. Its JSON fields and their order are relied on.
type Record struct {
	URI           string          `json:"uri"`
	Source        string          `json:"source"` // URL
	Run           string          `json:"run"`    // whose worker made the summary the document's
	ContentSHA256 string          `json:"content_sha256"`
	Title         string          `json:"title"`
	Summary       string          `json:"summary"`
	Output        json.RawMessage `json:"output,omitempty"` // whole object of a custom schema
	Model         string          `json:"model"`            // who answered
	Endpoint      string          `json:"endpoint"`         // host that answered; empty for the built-in engine
	Profile       string          `json:"profile"`          // hash
	TokensIn      int64           `json:"tokens_in"`
	TokensOut     int64           `json:"tokens_out"`
	CostUSD       *float64        `json:"cost_usd"` // null: the price is unknown
	Chunks        int64           `json:"chunks"`
	Checks        json.RawMessage `json:"checks"` // findings, an array
}

// RecordOf is what is exported of a summary.
func RecordOf(e ledger.Exported) Record {
	r := Record{
		URI: e.URI, Source: e.Source, Run: e.Run, ContentSHA256: e.ContentSHA256, Title: e.Summary.Title, Summary: e.Summary.Text,
		Output: e.Summary.Output, Model: e.Summary.Model, Endpoint: e.Summary.Endpoint, Profile: e.Profile, TokensIn: e.Summary.TokensIn, TokensOut: e.Summary.TokensOut,
		CostUSD: USD(e.Summary.CostNano), Chunks: e.Summary.Chunks, Checks: e.Summary.Checks,
	}
	if len(r.Checks) == 0 {
		r.Checks = json.RawMessage("[]")
	}
	return r
}

// USD is an amount of nano-USD in USD; nil, an unknown price, stays nil.
func USD(nano *int64) *float64 {
	if nano == nil {
		return nil
	}
	usd := float64(*nano) / 1e9
	return &usd
}

// digest tells a record from another of the same process.
func (r Record) digest() uint64 {
	cost := -1.0
	if r.CostUSD != nil {
		cost = *r.CostUSD
	}
	return maphash.Comparable(seed, struct {
		uri, source, run, sha256, title, summary, output, model, endpoint, profile, checks string
		in, out, chunks                                                                    int64
		cost                                                                               float64
	}{
		r.URI, r.Source, r.Run, r.ContentSHA256, r.Title, r.Summary, string(r.Output), r.Model, r.Endpoint, r.Profile, string(r.Checks),
		r.TokensIn, r.TokensOut, r.Chunks, cost,
	})
}

// seed is another in each process, so that nobody makes records or paths of equal digests.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // made once, never changed

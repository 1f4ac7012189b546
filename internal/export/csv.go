package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/text"
)

// CSV writes a table as RFC 4180 describes it, with a heading, in UTF-8, and returns the number of
// summaries. Columns are the fields of [Record]; output, checks and fields hold JSON.
//
// A spreadsheet runs a cell that begins like a formula, and the text may be a stranger's. Such a
// cell gets an apostrophe in front ([CSV injection]).
//
// [CSV injection]: https://owasp.org/www-community/attacks/CSV_Injection
func CSV(w io.Writer, each Stream) (n int, err error) {
	table := csv.NewWriter(w)
	if err := table.Write(csvHeading()); err != nil {
		return 0, fmt.Errorf("write a row: %w", err)
	}
	err = each(func(e ledger.Exported) error {
		n++
		if err := table.Write(csvRow(RecordOf(e))); err != nil {
			return fmt.Errorf("write a row: %w", err)
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	table.Flush()
	if err := table.Error(); err != nil {
		return n, fmt.Errorf("write a row: %w", err)
	}
	return n, nil
}

func csvHeading() []string {
	return []string{
		"uri", "id", "page", "source", "run", "summarized_at", "content_sha256", "title", "summary", "output", "model", "endpoint", "profile",
		"tokens_in", "tokens_out", "cost_usd", "chunks", "checks", "fields", "fields_too_large",
	}
}

func csvRow(r Record) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	cost, tooLarge := "", ""
	if r.CostUSD != nil {
		cost = strconv.FormatFloat(*r.CostUSD, 'f', -1, 64)
	}
	if r.FieldsTooLarge > 0 {
		tooLarge = number(r.FieldsTooLarge)
	}
	return []string{
		cell(r.URI), cell(r.ID), cell(r.Page), cell(r.Source), r.Run, r.SummarizedAt, r.ContentSHA256, cell(r.Title), cell(r.Summary), cell(string(r.Output)),
		cell(r.Model), cell(r.Endpoint), r.Profile, number(r.TokensIn), number(r.TokensOut), cost, number(r.Chunks), cell(string(r.Checks)),
		cell(string(r.Fields)), tooLarge,
	}
}

// cell returns text that neither a terminal nor a spreadsheet takes for a command.
func cell(s string) string {
	s = text.TerminalSafe(s)
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

package export

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/gistmill/gistmill/internal/ledger"
)

const (
	// parquetBatch is the number of rows given to the encoder at once.
	parquetBatch = 64
	// A row group ends at this many rows or bytes of text, because the encoder keeps it in memory.
	parquetGroupRows  = 20_000
	parquetGroupBytes = 16 << 20
)

// row is a [Record] as Parquet columns. Output, Checks and Fields are text, not the logical type
// JSON: the writer loses an optional column of that type, or panics (parquet-go v0.32.0,
// accumulateAndAppendPageLevelHistogram).
type row struct {
	URI           string   `parquet:"uri"`
	ID            *string  `parquet:"id,optional"`
	Page          *string  `parquet:"page,optional"`
	Source        string   `parquet:"source,dict"`
	Run           string   `parquet:"run,dict"`
	SummarizedAt  string   `parquet:"summarized_at"`
	ContentSHA256 string   `parquet:"content_sha256"`
	Title         string   `parquet:"title"`
	Summary       string   `parquet:"summary"`
	Output        *string  `parquet:"output,optional"`
	Model         string   `parquet:"model,dict"`
	Endpoint      string   `parquet:"endpoint,dict"`
	Profile       string   `parquet:"profile,dict"`
	TokensIn      int64    `parquet:"tokens_in"`
	TokensOut     int64    `parquet:"tokens_out"`
	CostUSD       *float64 `parquet:"cost_usd,optional"`
	Chunks        int64    `parquet:"chunks"`
	Checks        string   `parquet:"checks"`
	Fields        *string  `parquet:"fields,optional"`
	TooLarge      *int64   `parquet:"fields_too_large,optional"`
}

func rowOf(r Record) row {
	p := row{
		URI: r.URI, Source: r.Source, Run: r.Run, SummarizedAt: r.SummarizedAt, ContentSHA256: r.ContentSHA256, Title: r.Title, Summary: r.Summary, Model: r.Model, Endpoint: r.Endpoint,
		Profile: r.Profile, TokensIn: r.TokensIn, TokensOut: r.TokensOut, CostUSD: r.CostUSD, Chunks: r.Chunks, Checks: string(r.Checks),
	}
	if len(r.Output) > 0 {
		output := string(r.Output)
		p.Output = &output
	}
	if len(r.Fields) > 0 {
		fields := string(r.Fields)
		p.Fields = &fields
	}
	if r.ID != "" {
		p.ID = &r.ID
	}
	if r.Page != "" {
		p.Page = &r.Page
	}
	if r.FieldsTooLarge > 0 {
		p.TooLarge = &r.FieldsTooLarge
	}
	return p
}

func (p row) bytes() int {
	n := len(p.URI) + len(p.Title) + len(p.Summary) + len(p.Checks)
	if p.Output != nil {
		n += len(*p.Output)
	}
	if p.Fields != nil {
		n += len(*p.Fields)
	}
	return n
}

// Parquet writes a Parquet file, compressed with Zstandard, and returns the number of rows. Columns
// are the fields of [Record]; output, checks and fields hold JSON. version is that of the program.
func Parquet(w io.Writer, version string, each Stream) (n int, err error) {
	file := parquet.NewGenericWriter[row](w, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("gistmill", version, ""))
	batch := make([]row, 0, parquetBatch)
	groupRows, groupBytes := 0, 0
	write := func() error {
		if _, err := file.Write(batch); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
		n += len(batch)
		batch = batch[:0]
		return nil
	}
	err = each(func(e ledger.Exported) error {
		p := rowOf(RecordOf(e))
		batch = append(batch, p)
		groupRows++
		groupBytes += p.bytes()
		full := groupRows >= parquetGroupRows || groupBytes >= parquetGroupBytes
		if len(batch) == parquetBatch || full {
			if err := write(); err != nil {
				return err
			}
		}
		if full {
			groupRows, groupBytes = 0, 0
			if err := file.Flush(); err != nil {
				return fmt.Errorf("write a row group: %w", err)
			}
		}
		return nil
	})
	if err == nil {
		err = write()
	}
	if err != nil {
		return n, err
	}
	if err := file.Close(); err != nil {
		return n, fmt.Errorf("finish the file: %w", err)
	}
	return n, nil
}

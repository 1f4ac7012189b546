package export

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gistmill/gistmill/internal/text"
)

// Format is the format of an export.
type Format string

// The formats.
const (
	FormatJSONL    Format = "jsonl"
	FormatParquet  Format = "parquet"
	FormatCSV      Format = "csv"
	FormatMarkdown Format = "markdown"
)

// Formats lists the names of all formats.
func Formats() []string {
	return []string{string(FormatJSONL), string(FormatParquet), string(FormatCSV), string(FormatMarkdown)}
}

const gz = ".gz"

// FormatOf returns the format that a destination names: by its extension; pages for a folder or a
// name that ends with a slash; JSON lines for "-", pipes and devices. The error says which names
// are known.
func FormatOf(dest string) (Format, error) {
	info, err := os.Stat(dest)
	switch {
	case dest == "-":
		return FormatJSONL, nil
	case strings.HasSuffix(dest, "/"), err == nil && info.IsDir():
		return FormatMarkdown, nil
	case err == nil && !info.Mode().IsRegular():
		return FormatJSONL, nil
	}
	known := map[string]Format{".jsonl": FormatJSONL, ".ndjson": FormatJSONL, ".parquet": FormatParquet, ".csv": FormatCSV}
	name := strings.ToLower(dest)
	if f, ok := known[filepath.Ext(strings.TrimSuffix(name, gz))]; ok && (f != FormatParquet || !strings.HasSuffix(name, gz)) {
		return f, nil
	}
	const use = "use a name that ends with .jsonl, .csv or .parquet, a folder or a name that ends with / for pages, - for standard output, or --format"
	switch ext := filepath.Ext(name); ext {
	case "":
		return "", fmt.Errorf("%s names no format: %s", dest, use)
	case ".json":
		return "", fmt.Errorf("%s names JSON, and an export is JSON lines: use .jsonl, or --format jsonl for this name", dest)
	case ".xlsx", ".xls", ".ods", ".tsv":
		return "", fmt.Errorf("%s is not written: use .csv, which spreadsheets open, or .parquet", ext)
	case ".md", ".markdown":
		return "", fmt.Errorf("%s names one page, and an export has a page for each document: name a folder, such as %s/", dest, strings.TrimSuffix(dest, filepath.Ext(dest)))
	default:
		return "", fmt.Errorf("%s is not a known format%s: %s", ext, text.DidYouMean(ext, []string{".jsonl", ".ndjson", ".csv", ".parquet"}), use)
	}
}

// NamesFile reports whether a name looks like that of a file of summaries rather than of a folder.
func NamesFile(name string) bool {
	switch filepath.Ext(strings.TrimSuffix(strings.ToLower(name), gz)) {
	case ".jsonl", ".ndjson", ".csv", ".parquet", ".json", ".tsv", ".xlsx", ".md", ".txt":
		return true
	}
	return false
}

// CheckLinesName fails if the name of a file of JSON lines promises something else.
func CheckLinesName(dest string) error {
	f, err := FormatOf(dest)
	switch {
	case err != nil && filepath.Ext(dest) == "":
		return nil
	case err != nil:
		return err
	case f == FormatMarkdown:
		return fmt.Errorf("%s is a folder; give the name of a file", dest)
	case f != FormatJSONL:
		return fmt.Errorf("%s names %s, and this command writes JSON lines: use .jsonl", dest, f)
	}
	return nil
}

// Write writes summaries in a format other than [FormatMarkdown] and returns their number. If dest
// ends with .gz, JSON lines and CSV are compressed. version is that of the program, for Parquet.
func Write(w io.Writer, f Format, dest, version string, each Stream) (n int, err error) {
	if f == FormatParquet {
		return Parquet(w, version, each)
	}
	write := JSONL
	if f == FormatCSV {
		write = CSV
	}
	err = Compressed(w, dest, func(w io.Writer) (err error) {
		n, err = write(w, each)
		return err
	})
	return n, err
}

// Compressed calls write with a writer to w. If dest ends with .gz, the writer compresses.
func Compressed(w io.Writer, dest string, write func(io.Writer) error) error {
	if !strings.HasSuffix(strings.ToLower(dest), gz) {
		return write(w)
	}
	z := gzip.NewWriter(w)
	return errors.Join(write(z), z.Close())
}

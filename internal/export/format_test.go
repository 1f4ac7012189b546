package export

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/gistmill/gistmill/internal/ledger"
)

func TestFormatOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for dest, want := range map[string]Format{
		"-": FormatJSONL, "a.jsonl": FormatJSONL, "A.NDJSON": FormatJSONL, "a.jsonl.gz": FormatJSONL, "/dev/null": FormatJSONL,
		"a.parquet": FormatParquet, "a.csv": FormatCSV, "a.csv.gz": FormatCSV, "pages/": FormatMarkdown, dir: FormatMarkdown,
	} {
		if got, err := FormatOf(dest); got != want || err != nil {
			t.Errorf("%s: %s, %v", dest, got, err)
		}
	}
	for dest, want := range map[string]string{
		"a": "names no format", "a.json": "use .jsonl", "a.xlsx": "use .csv", "a.tsv": "use .csv", "a.md": "such as a/", "a.jsnl": "did you mean .jsonl?",
		"a.parqet": "did you mean .parquet?", "a.parquet.gz": "not a known format", "a.xml": "not a known format",
	} {
		if got, err := FormatOf(dest); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v", dest, got, err)
		}
	}
}

func TestNamesFile(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"a.jsonl": true, "a.jsonl.gz": true, "x/a.CSV": true, "a.json": true, "summaries": false, "2026.01": false, "a.d/": false} {
		if got := NamesFile(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// jsonNames returns the JSON names of a record's fields.
func jsonNames() []string {
	var names []string
	for f := range fields(reflect.TypeFor[Record]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func fields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

func TestColumnsAreTheSame(t *testing.T) {
	t.Parallel()
	want := jsonNames()
	var columns []string
	for f := range fields(reflect.TypeFor[row]()) {
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		columns = append(columns, name)
	}
	table, err := os.ReadFile("../../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(table), "\n## Columns\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for line := range strings.Lines(section) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			documented = append(documented, name)
		}
	}
	for name, got := range map[string][]string{"parquet": columns, "csv": csvHeading(), "docs/reference.md": documented} {
		slices.Sort(got)
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
			t.Errorf("%s: missing (-), additional (+):\n%s", name, diff)
		}
	}
	if got := len(csvRow(Record{})); got != len(want) {
		t.Errorf("a row of CSV has %d cells, want %d", got, len(want))
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	e := exported("data.jsonl#7")
	e.ID = "7"
	e.Fields.JSON = json.RawMessage(`{"subject":"=1+1","n":2}`)
	e.Summary.Title, e.Summary.Text = "", "- one,\n\"two\"\x1b[31m"
	unpriced := exported("@evil.txt")
	unpriced.Summary.CostNano = nil
	var b bytes.Buffer
	if n, err := CSV(&b, stream(e, unpriced)); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	get := func(row int, column string) string { return rows[row][slices.Index(rows[0], column)] }
	for column, want := range map[string]string{
		"uri": "data.jsonl#7", "id": "7", "title": "'=1+1", "summary": "'- one,\n\"two\"[31m", "cost_usd": "0.0015", "fields": `{"subject":"=1+1","n":2}`,
		"checks": "[]", "tokens_in": "10", "summarized_at": "1970-01-01T00:00:01Z", "page": "", "fields_too_large": "",
	} {
		if got := get(1, column); got != want {
			t.Errorf("%s is %q, want %q", column, got, want)
		}
	}
	if get(2, "uri") != "'@evil.txt" || get(2, "cost_usd") != "" {
		t.Errorf("%q", rows[2])
	}
	b.Reset()
	if n, err := CSV(&b, stream()); n != 0 || err != nil || !strings.HasPrefix(b.String(), "uri,id,") {
		t.Errorf("nothing exported: %d, %v, %q", n, err, b.String())
	}
}

func TestWriteFormats(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if n, err := Write(&b, FormatJSONL, "a.jsonl.gz", "v1", stream(exported("a.txt"))); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	z, err := gzip.NewReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	var r Record
	if err := json.NewDecoder(z).Decode(&r); err != nil || r.URI != "a.txt" {
		t.Errorf("%v, %+v", err, r)
	}
	b.Reset()
	if _, err := Write(&b, FormatParquet, filepath.Join("x", "a.parquet"), "v1.2.3", stream(exported("a.txt"))); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || !strings.Contains(f.Metadata().CreatedBy, "v1.2.3") {
		t.Errorf("created by %q, %v", f.Metadata().CreatedBy, err)
	}
}

func TestTitles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ uri, id, title, fields, want string }{
		"own title":        {"a.txt", "", "Own", "", "# Own\n"},
		"file":             {"sub/a.txt", "", "", "", "# a.txt\n"},
		"line":             {"sub/t.jsonl#T-1", "T-1", "", "", "# T-1\n"},
		"field":            {"t.jsonl#T-1", "T-1", "", `{"subject":"A\nb"}`, "# A b\n"},
		"first of several": {"t.jsonl#T-1", "T-1", "", `{"name":"N","title":"T"}`, "# T\n"},
		"no text":          {"t.jsonl#T-1", "T-1", " ", `{"title":7,"name":""}`, "# T-1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := exported(c.uri)
			e.ID, e.Summary.Title, e.Fields = c.id, c.title, ledger.Fields{JSON: json.RawMessage(c.fields)}
			var b bytes.Buffer
			writePage(&b, RecordOf(e))
			if got := b.String(); !strings.HasPrefix(got, c.want) {
				t.Errorf("%q", got)
			}
		})
	}
}

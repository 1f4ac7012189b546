package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/marker"
)

func exported(uri string) ledger.Exported {
	cost := int64(1_500_000)
	return ledger.Exported{
		Source: "file:///docs", URI: uri, ContentSHA256: "abc", Profile: "p1", Run: "20260101-aaaaaa",
		Summary: ledger.Summary{
			Name: "n-" + uri, Title: "Title of " + uri, Text: "The summary.", Model: "m", Endpoint: "api.example.com", TokensIn: 10, TokensOut: 2, CostNano: &cost, Chunks: 1,
			Checks: json.RawMessage("[]"), Created: time.Unix(1, 0),
		},
	}
}

func stream(all ...ledger.Exported) Stream {
	return func(yield func(ledger.Exported) error) error {
		for _, e := range all {
			if err := yield(e); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestJSONL(t *testing.T) {
	t.Parallel()
	plain := exported("a.txt")
	custom := exported("b<&>.txt")
	custom.Summary.CostNano = nil
	custom.Summary.Output = json.RawMessage("{\n  \"z\": 1,\n  \"a\": [2]\n}")
	custom.Summary.Checks = nil
	custom.Summary.Text = "esc \x1b[31m del \x7f csi \u009b31m ¢"
	var b bytes.Buffer
	n, err := JSONL(&b, stream(plain, custom))
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	want := `{"uri":"a.txt","source":"file:///docs","run":"20260101-aaaaaa","summarized_at":"1970-01-01T00:00:01Z","content_sha256":"abc","title":"Title of a.txt","summary":"The summary.","model":"m","endpoint":"api.example.com","profile":"p1","tokens_in":10,"tokens_out":2,"cost_usd":0.0015,"chunks":1,"checks":[]}
{"uri":"b<&>.txt","source":"file:///docs","run":"20260101-aaaaaa","summarized_at":"1970-01-01T00:00:01Z","content_sha256":"abc","title":"Title of b<&>.txt","summary":"esc \u001b[31m del \u007f csi \u009b31m ¢","output":{"z":1,"a":[2]},"model":"m","endpoint":"api.example.com","profile":"p1","tokens_in":10,"tokens_out":2,"cost_usd":null,"chunks":1,"checks":[]}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	var back Record
	if err := json.Unmarshal([]byte(strings.Split(b.String(), "\n")[1]), &back); err != nil || back.Summary != custom.Summary.Text {
		t.Errorf("read back %q, %v", back.Summary, err)
	}
	b.Reset()
	if n, err := JSONL(&b, stream()); n != 0 || err != nil || b.Len() != 0 {
		t.Errorf("nothing exported: %d, %v, %q", n, err, b.String())
	}
}

func TestParquet(t *testing.T) {
	t.Parallel()
	plain, custom := exported("a.txt"), exported("b.txt")
	custom.Summary.CostNano = nil
	custom.Summary.Output = json.RawMessage(`{"a":1}`)
	var all []ledger.Exported
	for range 70 {
		all = append(all, plain, custom)
	}
	var b bytes.Buffer
	if n, err := Parquet(&b, "v1", stream(all...)); n != 140 || err != nil {
		t.Fatal(n, err)
	}
	rows, err := parquet.Read[row](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(rows) != 140 {
		t.Fatal(len(rows), err)
	}
	if diff := cmp.Diff([]row{rowOf(RecordOf(plain)), rowOf(RecordOf(custom))}, rows[138:]); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if _, err := Parquet(&b, "v1", stream()); err != nil {
		t.Fatal(err)
	}
	if rows, err = parquet.Read[row](bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || len(rows) != 0 {
		t.Errorf("an empty file: %d rows, %v", len(rows), err)
	}
}

func TestParquetRowGroupsAreBounded(t *testing.T) {
	t.Parallel()
	long := exported("a.txt")
	long.Summary.Text = strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	var b bytes.Buffer
	if _, err := Parquet(&b, "v1", func(yield func(ledger.Exported) error) error {
		for range 70 {
			if err := yield(long); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.RowGroups()); n != 5 || f.NumRows() != 70 {
		t.Errorf("%d row groups, %d rows", n, f.NumRows())
	}
}

func TestStreamErrorIsReturned(t *testing.T) {
	t.Parallel()
	broken := errors.New("the ledger is gone")
	each := func(yield func(ledger.Exported) error) error {
		return errors.Join(yield(exported("a.txt")), broken)
	}
	dir := t.TempDir()
	for name, f := range map[string]func() (int, error){
		"jsonl":    func() (int, error) { return JSONL(io.Discard, each) },
		"parquet":  func() (int, error) { return Parquet(io.Discard, "v1", each) },
		"markdown": func() (int, error) { return writeFolder(t, filepath.Join(dir, "md"), false, each) },
		"folder":   func() (int, error) { return writeFolder(t, filepath.Join(dir, "out"), true, each) },
	} {
		if _, err := f(); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "out", LinesName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a summaries.jsonl is there: %v", err)
	}
}

// content is an output's content from a ledger that knows every run, and of documents those of
// known.
func contentOf(lines bool, each Stream, known func(uri string) (known, gone bool)) Content {
	return Content{
		Sources: []Pair{{Source: "file:///docs", Profile: "p1", Run: "20260101-aaaaaa"}}, Lines: lines, Whole: true,
		Stream: func([]Pair) (Stream, error) { return each, nil },
		HasRun: func(context.Context, string) (bool, error) { return true, nil },
		Document: func(_ context.Context, _, uri string) (bool, bool, error) {
			is, gone := known(uri)
			return is, gone, nil
		},
	}
}

func allKnown(string) (known, gone bool) { return true, false }

// writeFolder writes an output folder and returns the number of its summaries.
func writeFolder(t *testing.T, dir string, lines bool, each Stream) (int, error) {
	t.Helper()
	o := open(t, dir)
	w, err := o.Write(t.Context(), contentOf(lines, each, allKnown))
	return w.Summaries, err
}

// open opens an output folder until the end of the test.
func open(t *testing.T, dir string) *Output {
	t.Helper()
	o, err := OpenOutput(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// tree returns the content of all files below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "out")
	all := []ledger.Exported{exported("a.txt"), exported("data.jsonl#id7"), exported("sub/report.pdf"), exported("summaries.jsonl#1")}
	write := func() {
		t.Helper()
		if n, err := writeFolder(t, dir, true, stream(all...)); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	}
	write()
	got := tree(t, dir)
	if n := strings.Count(got[LinesName], "\n"); n != 4 {
		t.Errorf("%d lines", n)
	}
	want := "# Title of a.txt\n\nThe summary.\n\n---\n\nSource: `a.txt` in `file:///docs`  \nSummary by `m` from 1 chunk, 10 tokens in, 2 out, cost $0.0015\n"
	if diff := cmp.Diff(want, got["a.txt.md"]); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"data.jsonl/id7.md", "sub/report.pdf.md", "summaries.jsonl-" + sum("summaries.jsonl/")[:8] + "/1.md"} {
		if got[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if len(got) != 6 || got[marker.Name] == "" {
		t.Errorf("%d files: %v", len(got), got)
	}
	// Unchanged pages are left alone; changed ones are written.
	old := time.Unix(1000, 0)
	for name := range got {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	all[2].Summary.Text = "Another one."
	write()
	for name, changed := range map[string]bool{"a.txt.md": false, "sub/report.pdf.md": true, LinesName: true} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.ModTime().Equal(old) == changed {
			t.Errorf("%s is from %v", name, info.ModTime())
		}
	}
}

func TestMarkdownStaysInItsFolder(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	outside := filepath.Join(parent, "outside")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(outside, 0o755), os.Symlink(outside, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"../up.txt", "/etc/x", "a/../../b", "..", ".", "", "a//b", "data.jsonl#../../c", "\x00", "C:\\x", "nul", "a.txt.", "x\u202eb", "link/x"} {
		if _, err := writeFolder(t, dir, false, stream(exported(uri))); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
	for name := range tree(t, parent) {
		if !strings.HasPrefix(name, "out/") {
			t.Errorf("written outside: %s", name)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 100)
	for name, c := range map[string]struct{ uris, want []string }{
		"plain":          {[]string{"a.txt", "Sub/B.pdf", "l.jsonl#x", "d/l.NDJSON#a/b#c", "C# notes.txt"}, []string{"a.txt.md", "Sub/B.pdf.md", "l.jsonl/x.md", "d/l.NDJSON/a/b#c.md", "C# notes.txt.md"}},
		"unsafe":         {[]string{"../a", "a:b?.txt", "con.txt", "x/lpt1/y", "t. ", "a\tb", "a\u202eb", "//"}, []string{"__/a.md", "a_b_.txt.md", "_con.txt.md", "x/_lpt1/y.md", "t__.md", "a_b.md", "a_b-*.md", "_/_/_.md"}},
		"case":           {[]string{"README.md", "readme.md", "Readme.MD"}, []string{"README.md.md", "readme.md-*.md", "Readme.MD-*.md"}},
		"normalization":  {[]string{"e\u0301.txt", "é.txt"}, []string{"e\u0301.txt.md", "é.txt-*.md"}},
		"file is folder": {[]string{"a", "a.md/x", "b.md/x", "b"}, []string{"a.md", "a.md-*/x.md", "b.md/x.md", "b-*.md"}},
		"long":           {[]string{long, long + "1"}, []string{strings.Repeat("é", 60) + "-*.md", strings.Repeat("é", 60) + "-*.md"}},
		"deep":           {[]string{strings.Repeat("folder/", 200) + "x"}, []string{"x-*.md"}},
		"the same twice": {[]string{"a", "a", "a", "a", "a"}, []string{"a.md", "a-*.md", "a-*.md", "a-*.md", "a-*.md"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNamer()
			for i, uri := range c.uris {
				got := n.name(RecordOf(exported(uri)))
				if ok, err := filepath.Match(c.want[i], got); !ok || err != nil {
					t.Errorf("%q is %q, want %q", uri, got, c.want[i])
				}
			}
		})
	}
}

func FuzzNames(f *testing.F) {
	for _, uri := range []string{"a.txt", "../..", "l.jsonl#", "\xff/\x00", strings.Repeat("/", 300), "COM1.", "a.jsonl#b.jsonl#c"} {
		f.Add(uri, "b/"+uri)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		n := newNamer()
		a, b := n.name(RecordOf(exported(one))), n.name(RecordOf(exported(other)))
		for _, name := range []string{a, b} {
			if !filepath.IsLocal(name) || filepath.Clean(name) != name || !strings.HasSuffix(name, ".md") || len(name) > maxFolders+maxElement*2 {
				t.Errorf("%q", name)
			}
			for element := range strings.SplitSeq(name, "/") {
				if len(element) > 255 {
					t.Errorf("an element of %d bytes in %q", len(element), name)
				}
			}
		}
		if one != other && strings.EqualFold(a, b) {
			t.Errorf("%q and %q are both %q", one, other, a)
		}
	})
}

func TestPage(t *testing.T) {
	t.Parallel()
	const footer = "\n---\n\nSource: `a.txt` in `file:///docs`  \nSummary by `m` from 3 chunks, 10 tokens in, 2 out, cost unknown\n"
	for name, c := range map[string]struct {
		title, text, output, checks string
		want                        string
	}{
		"without a title": {"", "Text.", "", "", "# a.txt\n\nText.\n"},
		"inert": {
			"\x1b[2J<b>*x*</b>\n_y_ snake_case", "See ![x](http://e/) and <img src=x>\x1b]0;t\x07, a < b\r\nEnd \u202e", "", "",
			"# \\[2J\\<b>\\*x\\*\\</b> \\_y\\_ snake_case\n\nSee \\![x](http://e/) and \\<img src=x>]0;t, a < b\nEnd\n",
		},
		"custom with a summary": {
			"T", "S.", `{"topics":["a","b\nc"],"summary":"S.","key_points":"One.","score":0.5,"empty":"","none":null,"deep":{"x":[1]}}`, "",
			"# T\n\nS.\n\n## topics\n\n- a\n- b\n  c\n\n## key points\n\nOne.\n\n## score\n\n0.5\n\n## deep\n\n```json\n{\n  \"x\": [\n    1\n  ]\n}\n```\n",
		},
		"custom without": {"T", "who: me", `{"who":"me","n":[1,true]}`, "", "# T\n\n## who\n\nme\n\n## n\n\n- 1\n- true\n"},
		"findings": {
			"T", "S.", "", `[{"check":"number","found":"1,200","message":"not there"},{"check":"quote","found":"a *b*\u001b[31m\n<i>","message":"not there"},"by hand",{"kind":"date"}]`,
			"# T\n\nS.\n\n## Checks\n\n- number \"1,200\": not there\n- quote \"a \\*b\\*\\[31m \\<i>\": not there\n- \"by hand\"\n- {\"kind\":\"date\"}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := exported("a.txt")
			e.Summary.Title, e.Summary.Text, e.Summary.Output, e.Summary.Checks = c.title, c.text, json.RawMessage(c.output), json.RawMessage(c.checks)
			e.Summary.CostNano, e.Summary.Chunks = nil, 3
			var b bytes.Buffer
			writePage(&b, RecordOf(e))
			if diff := cmp.Diff(c.want+footer, b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "x.jsonl")
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	if err := File(t.Context(), path, hello); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no")
	if err := File(t.Context(), path, func(w io.Writer) error { return errors.Join(hello(w), broken) }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := File(t.Context(), link, func(w io.Writer) error { _, err := io.WriteString(w, "by link"); return err }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if err := File(t.Context(), dir, hello); err == nil {
		t.Error("a folder was overwritten")
	}
	if err := File(t.Context(), os.DevNull, hello); err != nil {
		t.Errorf("a device: %v", err)
	}
	got := tree(t, dir)
	if list := got["new/"+marker.Name]; strings.Count(list, "\n") != 2 || !strings.Contains(list, `{"file":"x.jsonl"}`) {
		t.Errorf("the marker has %q", list)
	}
	delete(got, "new/"+marker.Name)
	if diff := cmp.Diff(map[string]string{"new/x.jsonl": "by link", "link": "by link"}, got); diff != "" {
		t.Error(diff)
	}
}

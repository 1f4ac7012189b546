package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func open1(t *testing.T, raw string, o Options) *Source {
	t.Helper()
	s, err := Open(t.Context(), raw, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func list(t *testing.T, s *Source) []Entry {
	t.Helper()
	var out []Entry
	for e, err := range s.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// describe lists a source as "uri" or "uri !problem".
func describe(t *testing.T, s *Source) []string {
	t.Helper()
	var out []string
	for _, e := range list(t, s) {
		line := e.URI
		if e.Problem != "" {
			line += " !" + e.Problem
		}
		out = append(out, line)
	}
	return out
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEntriesOfJSONL(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 400<<10) // longer than the read buffer
	lines := []string{
		"\xef\xbb\xbf" + `{"id":"bom","text":"t"}` + "\r",
		`{"id": "a" , "text" : "x\ty"}` + "\r",
		"", "   \t\r",
		`{"text":"number","id":42}`,
		`{"id":-1.5e3,"text":""}`,
		`{"id":"a","text":"twice"}`,
		`{"id":"no text"}`, `{"text":"no id"}`, `{"id":"n","text":5}`, `{"id":true,"text":"x"}`, `{"id":"","text":"x"}`,
		`{"id":"` + strings.Repeat("i", 513) + `","text":"x"}`,
		`["id","text"]`, `{"id":"cut","text":"x`, `{"id":"b","text":"x"} trailing`, "{\"id\":\"nul\",\"text\":\"\x00\"}", `{"id":"c","text":"x",}`, `{"id":"u","text":"\uZZZZ"}`,
		`{"id":"\u0061\n%41\u0000","text":"esc"}`,
		`{"id":"dup","text":"first","text":"last"}`,
		`{"\u0069d":"key","text":"x"}`,
		`{"id":"nest","more":{"id":"inner","text":[1,{"a":null}]},"text":"x"}`,
		`{"id":"big","text":"` + long + `"}`,
		`{"id":"after","text":"x"}`,
		`{"id":"last","text":"no line end"}`,
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"d.jsonl": strings.Join(lines, "\n")})
	s := open1(t, filepath.Join(dir, "d.jsonl"), Options{MaxBytes: 300 << 10})
	noText, noID := ` !no field "text" (--text-field)`, ` !no field "id" (--id-field)`
	same(t, describe(t, s), []string{
		"d.jsonl#bom", "d.jsonl#a", "d.jsonl#42", "d.jsonl#-1.5e3", "d.jsonl#a",
		"d.jsonl#L8" + noText, "d.jsonl#L9" + noID, `d.jsonl#L10 !field "text" is not a string (--text-field)`,
		`d.jsonl#L11 !field "id" is neither a string nor a number (--id-field)`, `d.jsonl#L12 !field "id" is empty (--id-field)`,
		`d.jsonl#L13 !field "id" is longer than 512 bytes (--id-field)`,
		"d.jsonl#L14 !not a JSON object", "d.jsonl#L15 !not valid JSON: it ends too early", "d.jsonl#L16 !not valid JSON at byte 23",
		"d.jsonl#L17 !not valid JSON at byte 21", "d.jsonl#L18 !not valid JSON at byte 22", "d.jsonl#L19 !not valid JSON at byte 19",
		"d.jsonl#a%0A%2541%00", "d.jsonl#dup", "d.jsonl#key", "d.jsonl#nest",
		"d.jsonl#L24 !too large: 410 kB, the limit is 300 KiB (--max-document-bytes)",
		"d.jsonl#after", "d.jsonl#last",
	})
	texts := map[string]string{}
	for _, e := range list(t, s) {
		raw, err := s.Fetch(t.Context(), e.Ref)
		if bad := (*InputError)(nil); e.Problem != "" {
			if !errors.As(err, &bad) {
				t.Errorf("fetch of %s with a problem: %v", e.URI, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if raw.Version != e.Version || raw.Locator != e.Locator || !raw.PlainText {
			t.Errorf("%s: fetched %+v, listed %+v", e.URI, raw, e)
		}
		texts[e.URI] += string(raw.Data) + ";"
	}
	for uri, want := range map[string]string{"d.jsonl#a": "x\ty;twice;", "d.jsonl#bom": "t;", "d.jsonl#dup": "last;", "d.jsonl#last": "no line end;", "d.jsonl#a%0A%2541%00": "esc;"} {
		if texts[uri] != want {
			t.Errorf("%s: %q, want %q", uri, texts[uri], want)
		}
	}
}

func TestURLCarriesTheFields(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"d.jsonl": `{"key":"k","body":"b","id":1,"text":"t"}`})
	s := open1(t, dir, Options{IDField: "key", TextField: "body"})
	same(t, describe(t, s), []string{"d.jsonl#k"})
	again := open1(t, s.URL(), Options{})
	if again.URL() != s.URL() || !strings.HasSuffix(s.URL(), "?id_field=key&text_field=body") {
		t.Errorf("URLs %q and %q", s.URL(), again.URL())
	}
	raw, err := again.Fetch(t.Context(), list(t, s)[0].Ref)
	if err != nil || string(raw.Data) != "b" {
		t.Errorf("%v %v", raw, err)
	}
}

func TestFetchAfterTheFileChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "d.jsonl")
	put := func(s string) { write(t, dir, map[string]string{"d.jsonl": s}) }
	put(`{"id":1,"text":"one"}` + "\n" + `{"id":2,"text":"two"}` + "\n" + `{"id":3,"text":"three"}`)
	s := open1(t, path, Options{})
	refs := list(t, s)
	put(`{"id":0,"text":"a new line before"}` + "\n" + `{"id":1,"text":"one"}` + "\n" + `{"id":2,"text":"TWO changed"}` + "\n" + `{"id":2,"text":"second of the same"}`)
	one, err := s.Fetch(t.Context(), refs[0].Ref)
	if err != nil {
		t.Fatal(err)
	}
	if string(one.Data) != "one" || one.Version != refs[0].Version || one.Locator == refs[0].Locator {
		t.Errorf("moved line: %+v, was %+v", one, refs[0])
	}
	two, err := s.Fetch(t.Context(), refs[1].Ref)
	if err != nil {
		t.Fatal(err)
	}
	if string(two.Data) != "TWO changed" || two.Version == refs[1].Version {
		t.Errorf("changed line: %+v", two)
	}
	again, err := s.Fetch(t.Context(), Ref{URI: refs[1].URI, Locator: two.Locator, Version: two.Version})
	if err != nil || again.SHA256 != two.SHA256 {
		t.Errorf("by its new locator: %v %v", again, err)
	}
	if _, err := s.Fetch(t.Context(), refs[2].Ref); !errors.Is(err, ErrGone) {
		t.Errorf("removed line: %v", err)
	}
	put(`{"id":3,"text":"back"}`)
	if raw, err := s.Fetch(t.Context(), refs[2].Ref); err != nil || string(raw.Data) != "back" {
		t.Errorf("returned line: %v %v", raw, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(t.Context(), refs[0].Ref); !errors.Is(err, ErrGone) {
		t.Errorf("removed file: %v", err)
	}
}

func TestStdin(t *testing.T) {
	t.Parallel()
	lines := `{"id":"a","text":"x"}` + "\n" + `{"id":"b","text":"y"}`
	for _, c := range []struct {
		in   string
		o    Options
		want []string
	}{
		{lines, Options{}, []string{"stdin.jsonl#a", "stdin.jsonl#b"}},
		{"\n" + lines[:22], Options{TextField: "body"}, []string{"stdin"}},
		{"Just text.", Options{}, []string{"stdin"}},
		{`{"not": "a document"}`, Options{}, []string{"stdin"}},
		{"", Options{}, []string{"stdin"}},
	} {
		c.o.Stdin, c.o.Spool = strings.NewReader(c.in), t.TempDir()
		s := open1(t, "-", c.o)
		same(t, describe(t, s), c.want)
		other := open1(t, s.URL(), Options{})
		if _, err := other.Fetch(t.Context(), list(t, s)[0].Ref); err != nil {
			t.Error(err)
		}
		c.o.Stdin = strings.NewReader(c.in)
		if again := open1(t, "-", c.o); again.URL() != s.URL() {
			t.Errorf("equal input, other source: %s and %s", again.URL(), s.URL())
		}
	}
	if _, err := Open(t.Context(), "-", Options{Stdin: strings.NewReader(lines), TextField: "body"}); err == nil || !strings.Contains(err.Error(), "try --text-field text") {
		t.Errorf("lines without the text field: %v", err)
	}
	s, err := Open(t.Context(), "-", Options{Stdin: strings.NewReader("x")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s.URL(), Options{}); !errors.Is(err, ErrNoSource) {
		t.Errorf("the spool is still there: %v", err)
	}
}

// endless yields the given number of bytes without a line end.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	for i := range p[:n] {
		p[i] = 'x'
	}
	e.left -= n
	return int(n), nil
}

func TestLineReaderSkipsLongLinesInConstantMemory(t *testing.T) {
	r := newLineReader(io.MultiReader(&endless{left: 128 << 20}, strings.NewReader("\nnext\n")), 1<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ln, err := r.next()
	if err != nil || !ln.long || ln.length != 128<<20 {
		t.Fatalf("%+v %v", ln, err)
	}
	ln, err = r.next()
	if err != nil || string(ln.data) != "next" || ln.number != 2 || ln.offset != 128<<20+1 {
		t.Fatalf("%+v %v", ln, err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// A line far beyond the limit is listed with a problem, and the lines around it as documents.
func TestEntriesSkipsALongLine(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MB")
	}
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "a.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(s string, times int) {
		for range times {
			if _, err := file.WriteString(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(`{"id":"1","text":"first"}`+"\n"+`{"id":"2","text":"`, 1)
	write(strings.Repeat("x", 1<<20), 100)
	write(`"}`+"\n"+`{"id":"3","text":"last"}`+"\n", 1)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	s := open1(t, filepath.Join(dir, "a.jsonl"), Options{MaxBytes: 8 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := describe(t, s)
	runtime.ReadMemStats(&after)
	if len(got) != 3 || got[0] != "a.jsonl#1" || got[2] != "a.jsonl#3" || !strings.Contains(got[1], "too large") {
		t.Errorf("%v", got)
	}
	if asked := after.TotalAlloc - before.TotalAlloc; asked > 64<<20 {
		t.Errorf("the listing allocated %d MiB", asked>>20)
	}
}

func FuzzLineFields(f *testing.F) {
	for _, s := range []string{`{"id":"a","text":"b"}`, `{"id":1,"text":"\u00e4\ud800"}`, `{}`, `[]`, `{"id":"a","text":"b","x":[{},[],-0.1e+5,true,null]}`, "{\"id\":\"\xff\",\"text\":\"\x1f\"}", `{"id":01,"text":""}`, `{"a":"12345678\"90","id":2,"text":"tttttttttttttttt\\"}`,
		`{"id":"\ud83d\ude00","text":"\ud83d\ud83d\ude00\udc00\ud800A\ud800\n\ud800\u00e9\/\b\f"}`, "{\"id\":\"\\u00e9\xff\",\"text\":\"\\n\xc3\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		id, text, err := lineFields{id: "id", text: "text"}.find(line, nil)
		var bad *lineError
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("another type of error: %v", err)
		}
		var m map[string]json.RawMessage
		jsonErr := json.Unmarshal(line, &m)
		if err == nil {
			if jsonErr != nil || m == nil {
				t.Fatalf("accepted what encoding/json refuses: %v", jsonErr)
			}
			var want string
			if json.Unmarshal(m["text"], &want) != nil || string(unquote(text)) != want {
				t.Fatalf("text %q, want %q", unquote(text), want)
			}
			if m["id"][0] == '"' {
				if json.Unmarshal(m["id"], &want) != nil || string(id) != want {
					t.Fatalf("id %q, want %q", id, want)
				}
			} else if string(id) != string(m["id"]) {
				t.Fatalf("id %q, want %q", id, m["id"])
			}
			return
		}
		if strings.HasPrefix(bad.reason, "not valid JSON") && json.Valid(line) {
			t.Fatalf("refused valid JSON: %s", bad.reason)
		}
		if !strings.HasPrefix(bad.reason, "not ") && jsonErr != nil {
			t.Fatalf("the reason %q, but encoding/json says %v", bad.reason, jsonErr)
		}
	})
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\nb\r\n\nlong line here\n\xef\xbb\xbf"), int64(8))
	f.Add([]byte("\xef\xbb\xbfa"), int64(1))
	f.Fuzz(func(t *testing.T, data []byte, max int64) {
		if max < 0 || max > 1<<16 {
			return
		}
		r := newLineReader(bytes.NewReader(data), max)
		r.buf = make([]byte, 16) // small, so that fill moves and grows it
		for {
			ln, err := r.next()
			if atEnd(err) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			at := data[ln.offset : ln.offset+ln.length]
			if bytes.IndexByte(at, '\n') >= 0 || !ln.long && !bytes.Equal(at, ln.data) || ln.long && ln.length <= max && !bytes.HasSuffix(at, []byte{'\r'}) {
				t.Fatalf("line %+v is %q there", ln, at)
			}
		}
	})
}

// millionLines makes a file of 200-byte lines.
func millionLines(tb testing.TB, n int) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "lines.jsonl")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	text := strings.Repeat("the quick brown fox jumps over it ", 5)
	for i := range n {
		fmt.Fprintf(w, `{"id":"doc-%07d","text":"%s"}`+"\n", i, text[:167])
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		tb.Fatal(err)
	}
	return path
}

func BenchmarkListLines(b *testing.B) {
	const n = 1_000_000
	path := millionLines(b, n)
	rate := func(b *testing.B, start time.Time) {
		b.Helper()
		b.ReportMetric(float64(n)*float64(b.N)/time.Since(start).Seconds(), "lines/s")
	}
	b.Run("source", func(b *testing.B) {
		b.ReportAllocs()
		start := time.Now()
		for b.Loop() {
			s, err := Open(b.Context(), path, Options{})
			if err != nil {
				b.Fatal(err)
			}
			count := 0
			for e, err := range s.Entries(b.Context()) {
				if err != nil || e.Problem != "" {
					b.Fatal(err, e)
				}
				count++
			}
			if count != n {
				b.Fatal(count)
			}
			_ = s.Close()
		}
		rate(b, start)
	})
	each := func(b *testing.B, do func([]byte)) {
		b.Helper()
		start := time.Now()
		for b.Loop() {
			f, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			scan := bufio.NewScanner(f)
			for scan.Scan() {
				do(scan.Bytes())
			}
			_ = f.Close()
		}
		rate(b, start)
	}
	b.Run("bufio.Scanner", func(b *testing.B) { each(b, func([]byte) {}) })
	b.Run("encoding-json", func(b *testing.B) {
		each(b, func(line []byte) {
			var v struct {
				ID   json.RawMessage `json:"id"`
				Text string          `json:"text"`
			}
			if err := json.Unmarshal(line, &v); err != nil {
				b.Fatal(err)
			}
		})
	})
}

func TestOtherFieldsOfALine(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 16<<10)
	for line, want := range map[string]string{
		`{"id":1,"text":"x"}`: "",
		`{"at":"2026-01-31", "id":1,"tags":["a", {"b":null}],"text":"x","n":12345678901234567890}`: `{"at":"2026-01-31","tags":["a", {"b":null}],"n":12345678901234567890}`,
		`{"a":1,"id":1,"\u0061":2,"text":"x","\u0069d":7}`:                                         `{"\u0061":2}`,
		`{"id":1,"text":"x","z":"` + "a\xffb" + `","nul":"\u0000"}`:                                `{"z":"a` + "\uFFFD" + `b","nul":"\u0000"}`,
		`{"id":1,"text":"x","big":"` + large + `","small":1}`:                                      "too large",
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"d.jsonl": line})
		s := open1(t, dir, Options{})
		raw, err := s.Fetch(t.Context(), list(t, s)[0].Ref)
		if err != nil {
			t.Fatal(err)
		}
		got := string(raw.Fields)
		if raw.FieldsTooLarge > 16<<10 {
			got += "too large"
		}
		if got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
}

package source

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/text"
)

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestLinksStayInside(t *testing.T) {
	t.Parallel()
	outside, dir := t.TempDir(), t.TempDir()
	write(t, outside, map[string]string{"secret.txt": "secret", "sub/s.txt": "secret"})
	write(t, dir, map[string]string{"a.txt": "A", "sub/b.txt": "B", ".data/c.txt": "C"})
	link(t, "../../"+filepath.Base(outside)+"/secret.txt", filepath.Join(dir, "sub", "out.txt"))
	link(t, outside, filepath.Join(dir, "outdir"))
	link(t, filepath.Join(dir, "a.txt"), filepath.Join(dir, "absolute.txt"))
	link(t, "../a.txt", filepath.Join(dir, "sub", "in.txt"))
	link(t, "nothing", filepath.Join(dir, "broken.txt"))
	link(t, "self", filepath.Join(dir, "self"))
	link(t, "..", filepath.Join(dir, "sub", "loop"))
	link(t, ".data", filepath.Join(dir, "data"))
	link(t, ".data/c.txt", filepath.Join(dir, "c.txt"))
	link(t, "sub", filepath.Join(dir, "sub2"))
	link(t, "sub", filepath.Join(dir, "sub3"))
	leaves := " !symbolic link leaves the source's folder (it is not followed)"
	s := open1(t, dir, Options{})
	same(t, describe(t, s), []string{
		"a.txt", "absolute.txt" + leaves, "broken.txt !broken symbolic link: what it points at does not exist", "c.txt",
		"data/c.txt", "outdir" + leaves, "self !symbolic links go in a circle",
		"sub/b.txt", "sub/in.txt", "sub/out.txt" + leaves,
		"sub2/b.txt", "sub2/in.txt", "sub2/out.txt" + leaves,
	})
	for _, uri := range []string{"sub/out.txt", "outdir/secret.txt", "../" + filepath.Base(outside) + "/secret.txt", "outdir/sub/s.txt", "/etc/passwd"} {
		if raw, err := s.Fetch(t.Context(), Ref{URI: uri}); err == nil {
			t.Errorf("%s was read: %q", uri, raw.Data)
		}
	}
	if raw, err := s.Fetch(t.Context(), Ref{URI: "sub/in.txt"}); err != nil || string(raw.Data) != "A" {
		t.Errorf("link inside: %v %v", raw, err)
	}
}

func TestUnusualFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	odd := "new\nline \xff\x01 100% %41.txt"
	write(t, dir, map[string]string{odd: "odd", "big.txt": strings.Repeat("x", 2000), "empty.txt": "", "a#b.txt": "hash", "x.jsonl#y.txt": "hash too", "q?.txt": "q", "LOUD.JSONL": `{"id":"a","text":"b"}`})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	sock, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Skip("no unix sockets of this length:", err)
	}
	defer sock.Close()
	s := open1(t, dir, Options{MaxBytes: 1024})
	same(t, describe(t, s), []string{"LOUD.JSONL#a", "a#b.txt", "big.txt !too large: 2.0 kB, the limit is 1.0 KiB (--max-document-bytes)", "empty.txt",
		"new%0Aline %FF%01 100% %2541.txt", "pipe !a named pipe is not a document", "q?.txt", "sock !a socket is not a document", "x.jsonl#y.txt"})
	for uri, want := range map[string]string{"new%0Aline %FF%01 100% %2541.txt": "odd", "a#b.txt": "hash", "x.jsonl#y.txt": "hash too"} {
		if raw, err := s.Fetch(t.Context(), Ref{URI: uri}); err != nil || string(raw.Data) != want {
			t.Errorf("%s: %v %v", uri, raw, err)
		}
	}
	bad := (*InputError)(nil)
	for _, uri := range []string{"pipe", "big.txt", "sock"} {
		if _, err := s.Fetch(t.Context(), Ref{URI: uri}); !errors.As(err, &bad) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	again := open1(t, s.URL(), Options{})
	if again.URL() != s.URL() {
		t.Errorf("%q became %q", s.URL(), again.URL())
	}
	single := open1(t, filepath.Join(dir, odd), Options{})
	same(t, describe(t, single), []string{"new%0Aline %FF%01 100% %2541.txt"})
	if raw, err := open1(t, single.URL(), Options{}).Fetch(t.Context(), list(t, single)[0].Ref); err != nil || string(raw.Data) != "odd" {
		t.Errorf("single: %v %v", raw, err)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "", "b.md": "", "sub/c.txt": "", "sub/deep/d.txt": "", "x.jsonl": `{"id":"1","text":""}` + "\n" + `{"id":"2","text":""}`,
		".hidden": "", ".dir/e.txt": "", ".gistmill/ledger.db": "", "summaries/s.md": "", "sub/.gistmill/x": ""})
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(dir, "a.txt"), old, old); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		o    Options
		want string
	}{
		{"all", Options{}, "a.txt b.md sub/c.txt sub/deep/d.txt summaries/s.md x.jsonl#1 x.jsonl#2"},
		{"skip", Options{Skip: []string{filepath.Join(dir, "summaries"), filepath.Join(dir, "b.md")}}, "a.txt sub/c.txt sub/deep/d.txt x.jsonl#1 x.jsonl#2"},
		{"hidden", Options{Hidden: true}, ".dir/e.txt .hidden a.txt b.md sub/c.txt sub/deep/d.txt summaries/s.md x.jsonl#1 x.jsonl#2"},
		{"include", Options{Include: []string{"*.txt"}}, "a.txt sub/c.txt sub/deep/d.txt"},
		{"include path", Options{Include: []string{"sub/*"}}, "sub/c.txt"},
		{"include file of lines", Options{Include: []string{"x.jsonl"}}, "x.jsonl#1 x.jsonl#2"},
		{"include line", Options{Include: []string{"x.jsonl#2"}}, "x.jsonl#2"},
		{"exclude", Options{Exclude: []string{"sub/**", "*.jsonl", "**/*.md"}}, "a.txt"},
		{"exclude line", Options{Exclude: []string{"*.*", "x.jsonl#2"}, Include: []string{"x.jsonl#*"}}, ""},
		{"since", Options{Since: old.Add(time.Hour), Include: []string{"*.txt"}}, "sub/c.txt sub/deep/d.txt"},
		{"until", Options{Until: old.Add(time.Hour)}, "a.txt"},
		{"limit", Options{Limit: 6}, "a.txt b.md sub/c.txt sub/deep/d.txt summaries/s.md x.jsonl#1"},
	}
	everything := list(t, open1(t, dir, Options{Hidden: true}))
	for _, c := range cases {
		s := open1(t, dir, c.o)
		var got []string
		for _, e := range list(t, s) {
			got = append(got, e.URI)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", c.name, strings.Join(got, " "), c.want)
		}
		if c.o.Limit > 0 {
			continue
		}
		for _, e := range everything {
			if s.Matches(e.URI, e.Modified) != slices.Contains(got, e.URI) {
				t.Errorf("%s: Matches(%s) is %v", c.name, e.URI, s.Matches(e.URI, e.Modified))
			}
		}
	}
	if _, err := Open(t.Context(), dir, Options{Include: []string{"[a"}}); err == nil {
		t.Error("an invalid glob was accepted")
	}
	if hidden := open1(t, filepath.Join(dir, ".hidden"), Options{}); len(list(t, hidden)) != 1 || !hidden.Matches(".hidden", old) {
		t.Error("a hidden file that the user named is not a document")
	}
}

// A skipped file may be made after the source was opened, and may be named through a link.
func TestSkipsWhatIsMadeLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"real/a.txt": "A"})
	link(t, "real", filepath.Join(dir, "link"))
	s := open1(t, filepath.Join(dir, "link"), Options{Skip: []string{filepath.Join(dir, "link", "new", "l.db"), filepath.Join(dir, "link", "l.db")}})
	write(t, dir, map[string]string{"real/l.db": "", "real/new/l.db": "", "real/new/b.txt": ""})
	var got []string
	for _, e := range list(t, s) {
		got = append(got, e.URI)
	}
	if want := []string{"a.txt", "new/b.txt"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, raw := range []string{"", filepath.Join(dir, "nope"), "file:///nope/nope", "file://host/x", "ftp://x/y", "http://x/", "s3:///x", "-", "nul\x00byte"} {
		s, err := Open(t.Context(), raw, Options{})
		if !errors.Is(err, ErrNoSource) {
			t.Errorf("%q: %v %v", raw, s, err)
		}
	}
	for _, raw := range []string{"s3://user:secret@bucket/x", "s3://bu cket/%zz", "file:///tmp?x=1"} {
		_, err := Open(t.Context(), raw, Options{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestVersionDependsOnProblem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"big.txt": strings.Repeat("x", 2000)})
	small, large := open1(t, dir, Options{MaxBytes: 1000}), open1(t, dir, Options{})
	a, b := list(t, small)[0], list(t, large)[0]
	if a.Version == b.Version || a.Problem == "" || b.Problem != "" {
		t.Errorf("%+v %+v", a, b)
	}
}

func TestNameSorterSpills(t *testing.T) {
	t.Parallel()
	s := newNameSorter()
	s.limit = 7
	defer s.close()
	var want []string
	for i := range 100 {
		name := fmt.Sprintf("n%02d", i*37%100)
		want = append(want, name)
		if err := s.add(name); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	var got []string
	for n, err := range s.sorted() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	same(t, got, want)
}

func FuzzEscapeName(f *testing.F) {
	for _, s := range []string{"a.txt", "%", "%25", "%2", "\xff%41\n", "100% %zz", "ü\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		uri := escapeName(name)
		if text.UnescapeName(uri) != name {
			t.Fatalf("%q became %q became %q", name, uri, text.UnescapeName(uri))
		}
		if strings.ToValidUTF8(uri, "") != uri || strings.ContainsAny(uri, "\n\r\x00\t\x7f") {
			t.Fatalf("%q is not a clean URI", uri)
		}
		if got := string(appendEscaped(nil, []byte(name))); got != uri {
			t.Fatalf("appendEscaped gives %q, escapeName %q", got, uri)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"./docs", "file:///a/b?id_field=x", "s3://b/p/q.jsonl?region=eu", "gs://b", "azblob://c/x/", "C:\\x", "a://", "file:///%2e%2e/x", "s3://b/a%20b#c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		l, err := parseAddress(raw)
		if err != nil {
			return
		}
		f := lineFields{id: "id", text: "text"}
		if l.fields.id != "" {
			f.id = l.fields.id
		}
		if l.fields.text != "" {
			f.text = l.fields.text
		}
		again, err := parseAddress(l.url(f))
		if err != nil {
			t.Fatalf("%q gives %q, which is refused: %v", raw, l.url(f), err)
		}
		if again.url(f) != l.url(f) || again.path != l.path || again.bucket != l.bucket {
			t.Fatalf("%q: %q and then %q", raw, l.url(f), again.url(f))
		}
	})
}

func FuzzParseLocator(f *testing.F) {
	f.Add("10+5@6", "a.json#1")
	f.Add("z+z@1", "a#")
	f.Fuzz(func(t *testing.T, s, uri string) {
		l, err := parseLocator(s, uri)
		if err == nil && (l.file <= 0 || l.file >= len(uri) || l.offset < 0 || l.length < 0) {
			t.Fatalf("%q %q: %+v", s, uri, l)
		}
	})
}

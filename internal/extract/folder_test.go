package extract

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/source"
)

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

func list(t *testing.T, s *source.Source) []source.Entry {
	t.Helper()
	var out []source.Entry
	for e, err := range s.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func openFolder(t *testing.T, dir string) *source.Source {
	t.Helper()
	s, err := source.Open(t.Context(), dir, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFolderListsFetchesAndExtracts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a.txt":       "Plain text.\r\nSecond line.",
		"b/page.html": "<html><head><title>A page</title></head><body><nav>Home</nav><h1>Head</h1><p>Words of the page.</p></body></html>",
		"b.md":        "# Title\n\nBody.",
		"data.jsonl":  "{\"id\":\"one\",\"text\":\"Eins \\u00e4\"}\n\n{\"id\":2,\"text\":\"zwei\"}\nnonsense\n",
		".hidden/x":   "x",
	})
	s := openFolder(t, dir)
	var got []string
	x := New(Limits{})
	defer x.Close()
	for _, e := range list(t, s) {
		line := e.URI
		if e.Problem != "" {
			got = append(got, line+" !"+e.Problem)
			continue
		}
		raw, err := s.Fetch(t.Context(), e.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if raw.Version != e.Version || raw.Locator != e.Locator {
			t.Errorf("%s: version %q locator %q, listed %q %q", e.URI, raw.Version, raw.Locator, e.Version, e.Locator)
		}
		doc, err := x.Extract(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line+" ["+doc.MediaType+"|"+doc.Title+"] "+doc.Text)
	}
	want := []string{
		"a.txt [text/plain|] Plain text.\nSecond line.",
		"b.md [text/markdown|Title] # Title\n\nBody.",
		"b/page.html [text/html|A page] # Head\n\nWords of the page.",
		"data.jsonl#one [text/plain|] Eins ä",
		"data.jsonl#2 [text/plain|] zwei",
		"data.jsonl#L4 !not valid JSON at byte 1",
	}
	if strings.Join(got, "\n--\n") != strings.Join(want, "\n--\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n--\n"), strings.Join(want, "\n--\n"))
	}
	if _, err := s.Fetch(t.Context(), source.Ref{URI: "no.txt"}); !errors.Is(err, source.ErrGone) {
		t.Errorf("fetch of nothing: %v", err)
	}
}

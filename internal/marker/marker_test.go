package marker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func openMarker(t *testing.T, dir string) *Marker {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return Open(root)
}

func real(t *testing.T, dir string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func wrote(t *testing.T, path string) bool {
	t.Helper()
	ok, err := NewFinder().Wrote(path)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func create(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestMarkerIsReadBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := openMarker(t, dir)
	odd := "sub/\"odd\"\n<name>.md"
	one, other := Pair{"file:///a", "p1", "r1"}, Pair{"file:///b", "p1", "r2"}
	if err := m.Add(t.Context(), one.Line(), other.Line(), FileLine("a.md", 1), FileLine(odd, 2), Line{File: "all.csv"}); err != nil {
		t.Fatal(err)
	}
	if err := m.Add(t.Context(), FileLine("a.md", 3), one.Line(), FileLine("gone.md", 4), Line{Removed: "gone.md"}); err != nil {
		t.Fatal(err)
	}
	again := openMarker(t, dir)
	if err := again.Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Marker{m, again} {
		if !m.Listed("a.md") || !m.Listed(odd) || !m.Listed("all.csv") || m.Listed("gone.md") || m.Listed("other.md") {
			t.Error("the files are not those that were added")
		}
		// The file may have the content of the line before, if the program was killed between.
		if !m.Wrote("a.md", 1) || !m.Wrote("a.md", 3) || m.Wrote("a.md", 2) || !m.Wrote("all.csv", 9) || m.Wrote("gone.md", 4) {
			t.Error("the digests are not those that were added")
		}
		if got := fmt.Sprint(m.Sources()); got != fmt.Sprint([]Pair{other, one}) {
			t.Errorf("sources %s", got)
		}
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.md", odd, "all.csv", "mine.md"} {
		create(t, filepath.Join(dir, filepath.FromSlash(name)), "x")
	}
	for name, want := range map[string]bool{"a.md": true, odd: true, "all.csv": true, "mine.md": false} {
		if got := wrote(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%q: written by gistmill: %v", name, got)
		}
	}
}

// A marker that was emptied or overwritten does not make documents of pages: they are then known by
// their content. The first writer repairs the marker.
func TestDamagedMarker(t *testing.T) {
	t.Parallel()
	const page = "# A\n\nText\n\n---\n\nSource: `a.txt` in `file:///docs`  \nSummary by `m` from 1 chunk, 10 tokens in, 2 out, cost unknown\n"
	for name, content := range map[string]string{"empty": "", "garbage": "garbage\n\x00\x00", "cut": `{"gistmill_output":"gis`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			create(t, filepath.Join(dir, Name), content)
			create(t, filepath.Join(dir, "a.txt.md"), page)
			create(t, filepath.Join(dir, "mine.md"), "my own notes")
			check := func() {
				t.Helper()
				if !wrote(t, filepath.Join(dir, "a.txt.md")) || wrote(t, filepath.Join(dir, "mine.md")) {
					t.Error("the page counts as a document, or a document as a page")
				}
			}
			check()
			m := openMarker(t, dir)
			if err := m.Add(t.Context(), FileLine("a.txt.md", 1)); err != nil {
				t.Fatal(err)
			}
			check()
			if !m.Begun() {
				t.Error("the marker has no first line after it was written")
			}
		})
	}
}

func TestUnfinishedLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	create(t, filepath.Join(dir, Name), `{"file":"a.md","digest":"0000000000000001"}`+"\n"+`{"file":"b.m`)
	m := openMarker(t, dir)
	if err := m.Add(t.Context(), FileLine("c.md", 2)); err != nil {
		t.Fatal(err)
	}
	again := openMarker(t, dir)
	if err := again.Add(t.Context(), FileLine("d.md", 2)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.md", "c.md", "d.md"} {
		if !again.Listed(name) {
			t.Errorf("%s is not listed", name)
		}
	}
}

// Writers that append and write the marker again lose no line of each other, and a listing that
// goes on meanwhile knows every file that it sees.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	const writers, files = 4, 60
	dir := real(t, t.TempDir())
	stop := make(chan struct{})
	var listing, writing sync.WaitGroup
	listing.Go(func() {
		f := NewFinder()
		for {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Error(err)
				return
			}
			lists, err := f.Covering(dir)
			if err != nil {
				t.Error(err)
				return
			}
			for _, e := range entries {
				if !IsPrivate(e.Name()) && !Wrote(lists, filepath.Join(dir, e.Name())) {
					t.Errorf("%s is taken for a document", e.Name())
					return
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for w := range writers {
		m := openMarker(t, dir)
		writing.Go(func() {
			for i := range files {
				name := fmt.Sprintf("%d-%d.md", w, i)
				if err := m.Add(t.Context(), FileLine(name, uint64(i))); err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
					t.Error(err)
				}
				if i%20 != 0 {
					continue
				}
				err := m.Lock(t.Context())
				if err == nil {
					m.mu.Lock()
					err = m.compact(m.index.pairs)
					m.mu.Unlock()
					err = errors.Join(err, m.Unlock())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	listing.Wait()
	for w := range writers {
		for i := range files {
			if name := fmt.Sprintf("%d-%d.md", w, i); !wrote(t, filepath.Join(dir, name)) {
				t.Errorf("%s is lost", name)
			}
		}
	}
}

func TestLockWaitsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := openMarker(t, dir).Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := openMarker(t, dir).Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestFolderWithoutMarker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := "# T\n\nS.\n\n---\n\nSource: `` a`b.txt `` in `file:///docs`  \nSummary by `m` from 1 chunk, 10 tokens in, 2 out, cost $0.0015\n"
	record := `{"uri":"a.txt","source":"file:///docs","run":"r","content_sha256":"x","title":"","summary":"S.","model":"m","endpoint":"","profile":"p","tokens_in":1,"tokens_out":1,"cost_usd":0,"chunks":1,"checks":[]}` + "\n"
	create(t, filepath.Join(dir, "old", LinesName), record)
	create(t, filepath.Join(dir, "old", "sub", "a.txt.md"), page)
	create(t, filepath.Join(dir, "old", "mine.md"), "# Mine\n\n---\n\nSource: my head\n")
	create(t, filepath.Join(dir, "other", LinesName), `{"id":1,"text":"A line of a person."}`+"\n")
	for name, want := range map[string]bool{"old/" + LinesName: true, "old/sub/a.txt.md": true, "old/mine.md": false, "other/" + LinesName: false} {
		if got := wrote(t, filepath.Join(dir, filepath.FromSlash(name))); got != want {
			t.Errorf("%s: written by gistmill: %v", name, got)
		}
	}
	uri, source, ok := PageOf(append(bytes.Repeat([]byte("long "), 10_000), page...))
	if uri != "a`b.txt" || source != "file:///docs" || !ok {
		t.Errorf("%q in %q, %v", uri, source, ok)
	}
}

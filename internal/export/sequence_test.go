package export

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/marker"
)

// books is a ledger of summaries in memory.
type books struct {
	run     string
	sources map[string]map[string]string // text by source and URI
	gone    map[string]bool              // by source and URI
}

func newBooks(run string) *books {
	return &books{run: run, sources: map[string]map[string]string{}, gone: map[string]bool{}}
}

func (b *books) put(source, uri, text string) {
	if b.sources[source] == nil {
		b.sources[source] = map[string]string{}
	}
	b.sources[source][uri] = text
	delete(b.gone, source+" "+uri)
}

func (b *books) exported(source, uri string) ledger.Exported {
	e := exported(uri)
	e.Source, e.Run, e.Summary.Text = source, b.run, b.sources[source][uri]
	return e
}

func (b *books) pair(source string) Pair { return Pair{Source: source, Profile: "p1", Run: b.run} }

func (b *books) content(sources ...string) Content {
	c := Content{
		Lines:  true,
		HasRun: func(_ context.Context, name string) (bool, error) { return name == b.run, nil },
		Document: func(_ context.Context, source, uri string) (bool, bool, error) {
			_, known := b.sources[source][uri]
			gone := b.gone[source+" "+uri]
			return known || gone, gone, nil
		},
		Stream: func(pairs []Pair) (Stream, error) {
			return func(yield func(ledger.Exported) error) error {
				for _, source := range slices.Sorted(maps.Keys(b.sources)) {
					if !slices.ContainsFunc(pairs, func(p Pair) bool { return p.Source == source }) {
						continue
					}
					for _, uri := range slices.Sorted(maps.Keys(b.sources[source])) {
						if err := yield(b.exported(source, uri)); err != nil {
							return err
						}
					}
				}
				return nil
			}, nil
		},
	}
	for _, s := range sources {
		c.Sources = append(c.Sources, b.pair(s))
	}
	return c
}

// folderModel is what a folder must hold: a line and a page for each document, and the files of a
// person.
type folderModel struct {
	t      *testing.T
	dir    string
	ledger [2]*books
	held   [2]map[string]bool // sources by ledger
	people map[string]string  // content by name
	wrote  map[string]bool    // names that were pages
}

// check compares a folder with its model. after reports that a write has ended; otherwise pages and
// lines may be missing.
func (m *folderModel) check(after bool, did string) {
	m.t.Helper()
	got := tree(m.t, m.dir)
	for name, content := range m.people {
		if got[name] != content {
			m.t.Fatalf("after %s: %s of a person has %q", did, name, got[name])
		}
	}
	finder := marker.NewFinder()
	for name := range got {
		wrote, err := finder.Wrote(filepath.Join(m.dir, filepath.FromSlash(name)))
		_, people := m.people[name]
		if !marker.IsPrivate(filepath.Base(name)) && (err != nil || wrote == people && !m.wrote[name]) {
			m.t.Fatalf("after %s: a listing skips %s: %v, of a person: %v, %v", did, name, wrote, people, err)
		}
		if wrote {
			m.wrote[name] = true
		}
	}
	if !after {
		return
	}
	o := open(m.t, m.dir)
	lines := map[string]Record{}
	if err := o.eachLine(func(_ []byte, r Record) error {
		if _, again := lines[r.Source+" "+r.URI]; again {
			m.t.Fatalf("after %s: two lines for %s in %s", did, r.URI, r.Source)
		}
		lines[r.Source+" "+r.URI] = r
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
	pages := map[string]bool{}
	for i, b := range m.ledger {
		for source := range m.held[i] {
			for uri, text := range b.sources[source] {
				r, ok := lines[source+" "+uri]
				delete(lines, source+" "+uri)
				if !ok || r.Summary != text && !slices.ContainsFunc(m.ledger[:], func(b *books) bool { return b.sources[source][uri] == r.Summary }) {
					m.t.Fatalf("after %s: the line of %s in %s has %q, want %q", did, uri, source, r.Summary, text)
				}
				pages[r.Page] = true
				if _, edited := m.people[r.Page]; !edited && !strings.Contains(got[r.Page], r.Summary) {
					m.t.Fatalf("after %s: the page %s of %s has %q", did, r.Page, uri, got[r.Page])
				}
			}
		}
	}
	if len(lines) > 0 {
		m.t.Fatalf("after %s: lines without a summary: %v", did, lines)
	}
	for name := range got {
		if _, people := m.people[name]; strings.HasSuffix(name, ".md") && !people && !pages[name] {
			m.t.Fatalf("after %s: the page %s has no document", did, name)
		}
	}
}

// Whatever is written in whichever order, by two ledgers, with processes that end in the middle and
// people who write, edit and delete files in between: no line is lost, no page is taken for a
// document, and no file of a person is changed.
func TestSequences(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			sequence(t, rand.New(rand.NewPCG(seed, 1)), 25)
		})
	}
}

func sequence(t *testing.T, random *rand.Rand, steps int) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &folderModel{
		t: t, dir: dir, ledger: [2]*books{newBooks("run-a"), newBooks("run-b")}, held: [2]map[string]bool{{}, {}},
		people: map[string]string{}, wrote: map[string]bool{},
	}
	// Sources differ by ledger. Their documents have names that collide.
	uris := []string{"a.txt", "A.txt", "a.txt.md", "a", "a.md/b", "sub/a.txt", "data.jsonl#1", "summaries.jsonl#1"}
	source := func(ledger int) string { return fmt.Sprintf("file:///%d/%d", ledger, random.IntN(2)) }
	pick := func() string { return uris[random.IntN(len(uris))] }
	for step := range steps {
		i := random.IntN(2)
		b, s := m.ledger[i], source(i)
		switch op := random.IntN(10); op {
		case 0, 1, 2:
			b.put(s, pick(), fmt.Sprintf("Summary of step %d.", step))
		case 3:
			if uri := pick(); b.sources[s][uri] != "" && len(b.sources[s]) > 1 {
				delete(b.sources[s], uri)
				b.gone[s+" "+uri] = true
			}
		case 4: // a process that is killed before it writes the lines
			o := open(t, dir)
			var some []ledger.Exported
			for uri := range b.sources[s] {
				some = append(some, b.exported(s, uri))
			}
			if len(some) == 0 {
				continue
			}
			if err := o.Hold(t.Context(), []Pair{b.pair(s)}); err != nil {
				t.Fatal(err)
			}
			m.held[i][s] = true
			writeEarly(t, o, some...)
			m.check(false, fmt.Sprintf("step %d, early", step))
		case 5: // a person writes a file with the name of a page
			name := pick() + ".md"
			path := filepath.Join(dir, filepath.FromSlash(name))
			if _, err := os.Lstat(path); err == nil || m.wrote[name] || strings.Contains(name, "#") {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				continue
			}
			m.people[name] = fmt.Sprintf("Written by hand in step %d.", step)
			if err := os.WriteFile(path, []byte(m.people[name]), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			if len(b.sources[s]) == 0 {
				continue
			}
			if _, err := open(t, dir).Write(t.Context(), b.content(s)); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			m.held[i][s] = true
			// The other ledger's sources are brought up to date by its own writes.
			for source := range m.held[1-i] {
				if len(m.ledger[1-i].sources[source]) > 0 {
					if _, err := open(t, dir).Write(t.Context(), m.ledger[1-i].content(source)); err != nil {
						t.Fatalf("step %d: %v", step, err)
					}
				}
			}
			m.check(true, fmt.Sprintf("step %d, write", step))
		}
	}
}

// Two processes that write different sources into one folder at once both end with all lines.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBooks("run-a")
	for i := range 50 {
		b.put("file:///one", fmt.Sprintf("%d.txt", i), "One.")
		b.put("file:///two", fmt.Sprintf("%d.txt", i), "Two.")
	}
	var both sync.WaitGroup
	for _, source := range []string{"file:///one", "file:///two"} {
		o := open(t, dir)
		both.Go(func() {
			if err := o.Hold(t.Context(), []Pair{b.pair(source)}); err != nil {
				t.Error(err)
			}
			var all []ledger.Exported
			for uri := range b.sources[source] {
				all = append(all, b.exported(source, uri))
			}
			writeEarly(t, o, all...)
			if _, err := o.Write(t.Context(), b.content(source)); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	m := &folderModel{t: t, dir: dir, ledger: [2]*books{b, newBooks("run-b")}, held: [2]map[string]bool{{"file:///one": true, "file:///two": true}, {}}, wrote: map[string]bool{}}
	m.check(true, "both")
}

func TestEditedAndEmptied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := newBooks("run-a")
	b.put("file:///one", "a.txt", "First.")
	b.put("file:///one", "b.txt", "First.")
	write := func() Written {
		t.Helper()
		w, err := open(t, dir).Write(t.Context(), b.content("file:///one"))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	write()
	page := func(name string) string { return tree(t, dir)[name] }
	if err := os.WriteFile(filepath.Join(dir, "a.txt.md"), []byte("Edited."), 0o600); err != nil {
		t.Fatal(err)
	}
	b.put("file:///one", "a.txt", "Second.")
	if w := write(); fmt.Sprint(w.Edited) != "[a.txt.md]" || page("a.txt.md") != "Edited." {
		t.Errorf("%+v, %q", w, page("a.txt.md"))
	}
	// Once it is deleted, it is written again. So is one that a killed process left unfinished.
	whole := page("b.txt.md")
	if err := errors.Join(os.Remove(filepath.Join(dir, "a.txt.md")), os.WriteFile(filepath.Join(dir, "b.txt.md"), []byte(whole[:20]), 0o600)); err != nil {
		t.Fatal(err)
	}
	if w := write(); len(w.Edited) > 0 || !strings.Contains(page("a.txt.md"), "Second.") || page("b.txt.md") != whole {
		t.Errorf("%+v, %q", w, tree(t, dir))
	}
	before := tree(t, dir)
	for uri := range b.sources["file:///one"] {
		b.gone["file:///one "+uri] = true
	}
	b.sources["file:///one"] = nil
	if w := write(); !w.Emptied || len(tree(t, dir)) != len(before) || page(LinesName) != before[LinesName] {
		t.Errorf("%+v, %q", w, tree(t, dir))
	}
}

// A damaged marker does not make an edited page one that may be replaced.
func TestEditedPagesOfADamagedMarker(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(string) string{
		"garbage":                    func(string) string { return "garbage\n" },
		"empty":                      func(string) string { return "" },
		"the first line is missing":  func(s string) string { _, rest, _ := strings.Cut(s, "\n"); return rest },
		"only the first page stayed": func(s string) string { return strings.Join(strings.SplitAfter(s, "\n")[1:4], "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			b := newBooks("run-a")
			for _, uri := range []string{"a.txt", "b.txt", "c.txt"} {
				b.put("file:///one", uri, "First.")
			}
			write := func() Written {
				t.Helper()
				w, err := open(t, dir).Write(t.Context(), b.content("file:///one"))
				if err != nil {
					t.Fatal(err)
				}
				return w
			}
			write()
			edited := strings.Replace(tree(t, dir)["a.txt.md"], "First.", "Edited by a person.", 1)
			list := filepath.Join(dir, marker.Name)
			content, err := os.ReadFile(list)
			if err == nil {
				err = errors.Join(os.WriteFile(filepath.Join(dir, "a.txt.md"), []byte(edited), 0o600), os.WriteFile(list, []byte(damage(string(content))), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if w := write(); fmt.Sprint(w.Edited) != "[a.txt.md]" || tree(t, dir)["a.txt.md"] != edited || len(tree(t, dir)) != 5 {
					t.Errorf("%+v, %q", w, tree(t, dir))
				}
			}
			// The marker knows the others again.
			b.put("file:///one", "b.txt", "Second.")
			if write(); !strings.Contains(tree(t, dir)["b.txt.md"], "Second.") {
				t.Error("an unchanged page is not replaced any more")
			}
		})
	}
}

// A new folder without summaries is not one that has lost them.
func TestNothingInANewFolder(t *testing.T) {
	t.Parallel()
	w, err := open(t, t.TempDir()).Write(t.Context(), newBooks("run-a").content("file:///one"))
	if err != nil || w.Emptied {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestLinesOfPackedFilesHaveFolders(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"a.jsonl#1": "a.jsonl/1.md", "b.ndjson.gz#x/y": "b.ndjson.gz/x/y.md", "sub/c.JSONL.zst#7": "sub/c.JSONL.zst/7.md",
		"notes.gz#1": "notes.gz#1.md", "d.jsonl.bz2#1": "d.jsonl.bz2#1.md", "e#f.jsonl#2": "e#f.jsonl/2.md",
	} {
		if got := newNamer().name(Record{URI: uri}); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
}

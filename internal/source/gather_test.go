package source

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/blob/memblob"
)

func TestGather(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"a.txt": "A", "b.md": "B", "x/c.txt": "C", "x/y/d.txt": "D", "x/y/e\n%41.txt": "E", ".h.txt": "H", ".i.txt": "I", "l.jsonl": `{"id":1,"text":"x"}`, "-v.txt": "V"})
	write(t, other, map[string]string{"o.txt": "O"})
	for name, target := range map[string]string{"out.txt": other + "/o.txt", "in.txt": "a.txt", "lx": "x"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	in := func(names ...string) []string {
		out := make([]string, len(names))
		for i, n := range names {
			out[i] = filepath.Join(dir, n)
		}
		return out
	}
	set := func(folder string, files ...string) string {
		return filepath.Join(dir, folder) + " " + fmt.Sprintf("%q", files)
	}
	for name, c := range map[string]struct{ all, want []string }{
		"one file":           {in("a.txt"), in("a.txt")},
		"files":              {in("a.txt", "b.md"), []string{set("", "a.txt", "b.md")}},
		"deeper folder":      {in("x/c.txt", "x/y/d.txt"), []string{set("x", "c.txt", "y/d.txt")}},
		"twice":              {in("a.txt", "x/../a.txt"), in("a.txt")},
		"by a link":          {in("in.txt", "a.txt", "lx/c.txt", "x/c.txt"), []string{set("", "in.txt", "lx/c.txt")}},
		"as a URL":           {[]string{in("a.txt")[0], "file://" + in("b.md")[0]}, []string{set("", "a.txt", "b.md")}},
		"folder and files":   {in("a.txt", "x", "b.md", "x/c.txt"), []string{set("", "a.txt", "b.md"), in("x")[0]}},
		"file of the folder": {append([]string{dir}, in("a.txt", "b.md")...), []string{dir}},
		"hidden one of it":   {append([]string{dir}, in("a.txt", ".h.txt")...), []string{dir, in(".h.txt")[0]}},
		"hidden ones of it":  {append([]string{dir}, in(".h.txt", ".i.txt")...), append([]string{dir}, in(".h.txt", ".i.txt")...)},
		"folder twice":       {in("x", "x/", "lx", "x/y"), in("x", "x/y")},
		"link that leaves":   {in("a.txt", "out.txt", "b.md"), []string{set("", "a.txt", "b.md"), in("out.txt")[0]}},
		"far apart":          {[]string{in("a.txt")[0], other + "/o.txt"}, []string{commonOf(dir, other)}},
		"lines":              {in("l.jsonl", "a.txt"), []string{set("", "l.jsonl", "a.txt")}},
		"odd names":          {in("-v.txt", "x/y/e\n%41.txt"), []string{set("", "-v.txt", "x/y/e%0A%2541.txt")}},
		"own fields":         {[]string{in("a.txt")[0], "file://" + in("l.jsonl")[0] + "?id_field=k"}, []string{in("a.txt")[0], "file://" + in("l.jsonl")[0] + "?id_field=k"}},
	} {
		given, err := Gather(t.Context(), c.all)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, g := range given {
			line := g.Address
			if g.Files != nil {
				line += " " + fmt.Sprintf("%q", g.Files)
			}
			got = append(got, line)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
	for _, all := range [][]string{append(in("a.txt"), "-"), in("a.txt", "missing.txt"), in("missing.txt", "a.txt")} {
		if _, err := Gather(t.Context(), all); err == nil || all[1] != "-" && (!errors.Is(err, ErrNoSource) || !strings.Contains(err.Error(), "missing.txt")) {
			t.Errorf("%s: %v", all, err)
		}
	}
}

// commonOf is the source of two files, of which other holds o.txt and dir a.txt.
func commonOf(dir, other string) string {
	common := filepath.Dir(dir)
	for !strings.HasPrefix(other, common+"/") {
		common = filepath.Dir(common)
	}
	a, _ := filepath.Rel(common, dir)
	b, _ := filepath.Rel(common, other)
	return common + " " + fmt.Sprintf("%q", []string{a + "/a.txt", b + "/o.txt"})
}

func TestFilesOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "A", "b.md": "B", "x/c.txt": "C", ".h.txt": "H", "l.jsonl": `{"id":1,"text":"x"}`, "out/p.md": "P"})
	o := Options{Files: []string{"x/c.txt", ".h.txt", "l.jsonl", "a.txt", "gone.txt", "a.txt", "out/p.md"}, Skip: []string{filepath.Join(dir, "out")}}
	s := open1(t, dir, o)
	same(t, describe(t, s), []string{".h.txt", "a.txt", "l.jsonl#1", "x/c.txt"})
	if all := open1(t, dir, Options{}); all.URL() != s.URL() {
		t.Errorf("%s and %s", all.URL(), s.URL())
	}
	for uri, want := range map[string]bool{"a.txt": true, "gone.txt": true, "l.jsonl#2": true, "b.md": false, "x/d.txt": false, ".h.txt": true} {
		if got := s.Matches(uri, s.filter.since); got != want {
			t.Errorf("Matches(%s) is %v", uri, got)
		}
	}
	o.Include = []string{"*.txt"}
	same(t, describe(t, open1(t, dir, o)), []string{".h.txt", "a.txt", "x/c.txt"})
	for _, bad := range []string{"../a.txt", "/a.txt", "a//b", "x/", ""} {
		if _, err := Open(t.Context(), dir, Options{Files: []string{bad}}); !errors.Is(err, ErrNoSource) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "a.txt"), Options{Files: []string{"a.txt"}}); !errors.Is(err, ErrNoSource) {
		t.Errorf("files of a file: %v", err)
	}
}

func TestFilesOfABucket(t *testing.T) {
	t.Parallel()
	b := memblob.OpenBucket(nil)
	defer b.Close()
	fill(t, b, map[string]string{"in/a.txt": "A", "in/x/b.txt": "B", "in/c.txt": "C", "in/x/d.txt": "D"})
	object := func(at int, key string) namedObject {
		return namedObject{at, "mem://b/" + key, address{scheme: "mem", bucket: "b", path: key}}
	}
	given, err := gatherObjects(t.Context(), b, []namedObject{object(3, "in/x/b.txt"), object(4, "in/x"), object(5, "in/a.txt")})
	if err != nil || len(given) != 2 || given[0].Address != "mem://b/in/x" || given[1].Address != "mem://b/in/" || !slices.Equal(given[1].Files, []string{"x/b.txt", "a.txt"}) {
		t.Fatalf("%+v %v", given, err)
	}
	s, err := memSource(t, b, "in/", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.filter.restrict(s.tree, append(given[1].Files, "gone.txt")); err != nil {
		t.Fatal(err)
	}
	same(t, describe(t, s), []string{"a.txt", "x/b.txt"})
	one, err := gatherObjects(t.Context(), b, []namedObject{object(0, "in/a.txt"), object(1, "none.txt")})
	if err != nil || len(one) != 2 || one[0].Files != nil || one[1].Files != nil {
		t.Errorf("%+v %v", one, err)
	}
}

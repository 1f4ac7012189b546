package source

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
)

func TestSurveyNamesTheFieldsOfLines(t *testing.T) {
	t.Parallel()
	many := func(line string) string {
		var b strings.Builder
		for i := range 150 {
			b.WriteString(strings.ReplaceAll(line, "N", fmt.Sprint(i)) + "\n")
		}
		return b.String()
	}
	body := strings.Repeat("words of a text ", 9)
	for name, c := range map[string]struct {
		lines    string
		id, text string
		want     string // empty: no error
	}{
		"right":             {lines: `{"id":1,"text":"x"}`},
		"some lack it":      {lines: `{"no":1}` + "\n" + `{"id":1,"text":"x"}`},
		"some have each":    {lines: `{"id":1}` + "\n" + `{"text":"x"}`},
		"no objects":        {lines: "[1]\n2\nbroken"},
		"empty":             {lines: "\n\n"},
		"both":              {lines: `{"ticket":1,"body":"x y"}`, want: `d.jsonl: no line has "id"; the lines have ticket, body: try --id-field ticket --text-field body`},
		"name of an id":     {lines: many(`{"at":"tN","orderId":"N","body":"` + body + `"}`), want: `try --id-field orderId --text-field body (lines read: the first 100)`},
		"not unique":        {lines: many(`{"kind":"a","nr":N,"body":"` + body + `"}`), want: `try --id-field nr --text-field body`},
		"nothing unique":    {lines: many(`{"kind":"a","body":"` + body + `"}`), want: `name the id and the text with --id-field and --text-field`},
		"right id":          {lines: `{"id":"a","body":"x"}`, want: `no line has "text"; the lines have id, body: try --text-field body`},
		"wrong flag":        {lines: `{"id":"a","text":"x"}`, text: "body", want: `no line has "body"; the lines have id, text: try --text-field text`},
		"text is no string": {lines: `{"id":"a","text":["x"],"body":"y"}`, want: `no line has a string in "text"; the lines have id, text, body: try --text-field body`},
		"id is no string":   {lines: `{"id":null,"n":4,"text":"x"}`, want: `no line has a string or a number in "id"; the lines have id, n, text: try --id-field n`},
		"odd names":         {lines: `{"Ticket ID":1,"it's":"x y z"}`, want: `the lines have "Ticket ID", "it's": try --id-field 'Ticket ID' --text-field 'it'\''s'`},
		"no fields":         {lines: `{}`, want: `no line has "id"; the lines have no fields`},
		"many fields":       {lines: `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10,"k":11,"l":12,"m":"x"}`, want: `the lines have a, b, c, d, e, f, g, h, i, j, k, l, …:`},
		"control character": {lines: `{"a\u001b[31m":1,"b":"x"}`, want: `the lines have "a\x1b[31m", b:`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, map[string]string{"d.jsonl": c.lines, "a.txt": "text"})
			for _, place := range []string{dir, filepath.Join(dir, "d.jsonl")} {
				s := open1(t, place, Options{IDField: c.id, TextField: c.text})
				_, err := s.Survey(t.Context())
				if c.want == "" {
					if err != nil {
						t.Errorf("%v", err)
					}
					continue
				}
				if bad := (*FieldsError)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
			}
		})
	}
}

func TestSurveyOfSeveralLineFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.jsonl": `{"x":1,"y":"z"}`, "b.jsonl": `{"id":1,"text":"z"}`})
	v, err := open1(t, dir, Options{}).Survey(t.Context())
	if err != nil || len(v.Warnings) != 1 || !strings.HasPrefix(v.Warnings[0], `a.jsonl: no line has "id"`) {
		t.Errorf("%+v %v", v, err)
	}
	// Files that the filters leave out are not read.
	if v, err := open1(t, dir, Options{Exclude: []string{"a.*"}}).Survey(t.Context()); err != nil || len(v.Warnings) > 0 {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := open1(t, dir, Options{Exclude: []string{"b.*"}}).Survey(t.Context()); err == nil {
		t.Error("no file has the fields, and no error")
	}
}

func TestSurveyOfBucket(t *testing.T) {
	t.Parallel()
	b := memblob.OpenBucket(nil)
	defer b.Close()
	fill(t, b, map[string]string{"in/d.jsonl": `{"key":"a","body":"x"}`, "in/e.txt": "x"})
	s, err := memSource(t, b, "in", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Survey(t.Context()); err == nil || !strings.Contains(err.Error(), "try --id-field key --text-field body") {
		t.Errorf("%v", err)
	}
	if s, err = memSource(t, b, "in", Options{Include: []string{"*.pdf"}}); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Survey(t.Context()); err != nil || !v.Unmatched || v.LeftOut.NotIncluded != 2 {
		t.Errorf("%+v %v", v, err)
	}
}

func TestSurveyOfMisnamedLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := `{"id":1,"text":"a"}` + "\n" + `{"id":2,"text":"b"}` + "\n"
	write(t, dir, map[string]string{"lines.json": lines, "one.json": `{"id":1}`, "pretty.json": "{\n\"a\": 1\n}\n", "lines.txt": lines})
	for place, want := range map[string]string{
		"":            "lines.json has a JSON object in each line and is read as one document: name it lines.jsonl",
		"lines.txt":   "lines.txt has a JSON object in each line",
		"one.json":    "",
		"pretty.json": "",
	} {
		v, err := open1(t, filepath.Join(dir, place), Options{}).Survey(t.Context())
		if err != nil || want == "" && len(v.Warnings) > 0 || want != "" && (len(v.Warnings) != 1 || !strings.HasPrefix(v.Warnings[0], want)) {
			t.Errorf("%s: %q %v", place, v.Warnings, err)
		}
	}
}

func TestUnmatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "x", "sub/b.md": "x", "d.jsonl": `{"id":"T-1","text":"x"}`, ".h": "x"})
	for glob, unmatched := range map[string]bool{
		"*.pdf": true, "*.md": false, "**/*.md": false, "d.jsonl#T-*": false, "d.jsonl#X-*": true, "*.h": true,
	} {
		// The time does not count: a document that matches is older.
		s := open1(t, dir, Options{Include: []string{glob}, Since: time.Now().Add(time.Hour)})
		if v, err := s.Survey(t.Context()); err != nil || v.Unmatched != unmatched {
			t.Errorf("%s: %+v %v", glob, v, err)
		}
	}
}

func TestLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.txt": "x", "b.md": "x", "c.pdf": "x", "d.jsonl": `{"id":1,"text":"x"}`, ".h": "x", "sub/e.txt": "x"})
	for _, c := range []struct {
		o    Options
		want LeftOut
	}{
		{Options{}, LeftOut{Hidden: 1}},
		{Options{Hidden: true}, LeftOut{}},
		{Options{Include: []string{"*.txt"}, Exclude: []string{"c.*"}}, LeftOut{Hidden: 1, NotIncluded: 2, Excluded: 1}},
		{Options{Exclude: []string{"sub/**", "*.txt"}}, LeftOut{Hidden: 1, Excluded: 2}},
		{Options{Since: time.Now().Add(time.Hour)}, LeftOut{Hidden: 1, Older: 5}},
		{Options{Until: time.Now().Add(-time.Hour)}, LeftOut{Hidden: 1, Newer: 5}},
	} {
		s := open1(t, dir, c.o)
		list(t, s)
		if got := s.LeftOut(); got != c.want {
			t.Errorf("%+v: %+v, want %+v", c.o, got, c.want)
		}
	}
}

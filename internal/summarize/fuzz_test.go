package summarize

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzGroup divides notes as merging does. Their order stays, no group exceeds the limit, and
// there are fewer groups than notes, so that merging ends.
func FuzzGroup(f *testing.F) {
	f.Add([]byte{255, 255, 255, 255}, 90)
	f.Add([]byte{0, 255, 0, 255, 1}, 1000)
	f.Add([]byte("a longer list of notes of many sizes"), 100)
	f.Fuzz(func(t *testing.T, sizes []byte, limit int) {
		limit = min(max(limit, 3*(perNote+1)), 1<<20)
		notes := make([]note, len(sizes))
		for i, b := range sizes {
			notes[i] = note{tokens: int(b) * (limit/3 - perNote) / 255} // at most a third of the limit
		}
		groups := group(notes, limit)
		at := 0
		for i, g := range groups {
			if len(g) == 0 || size(g) > limit || i+1 < len(groups) && len(g) < 2 {
				t.Fatalf("group %d of %d has %d notes of %d tokens, the limit is %d", i, len(groups), len(g), size(g), limit)
			}
			for _, n := range g {
				if n.tokens != notes[at].tokens {
					t.Fatalf("note %d is not in its place", at)
				}
				at++
			}
		}
		if at != len(notes) || len(notes) > 1 && len(groups) >= len(notes) {
			t.Fatalf("%d groups of %d notes hold %d", len(groups), len(notes), at)
		}
	})
}

// FuzzShorten cuts notes of models that ignore the limit.
func FuzzShorten(f *testing.F) {
	f.Add("One sentence. Another one.", 16)
	f.Add(strings.Repeat("é", 100), 31)
	f.Add("\xff\xfe \n\n# x", 1)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = min(max(limit, 16), 1<<20)
		got := (&documentWork{modelEngine: &modelEngine{count: bytesCounter}}).shorten(s, limit)
		if len(got) > limit || !strings.HasPrefix(strings.TrimSpace(s), got) && len(s) > limit || len(s) <= limit && got != s {
			t.Errorf("%q of at most %d became %q", s, limit, got)
		}
	})
}

// FuzzTemplate reads prompts of users. A field that a template is not found to use does not
// change the request. Names of summaries depend on that.
func FuzzTemplate(f *testing.F) {
	f.Add("Summarize {{.Title}}: {{.Text}}", "t", "u", "x")
	f.Add(`{{with .}}{{.URI}}{{end}}{{define "a"}}{{.Title}}{{end}}{{template "a" .}}`, "t", "u", "x")
	f.Add(`{{$d := .}}{{range $i, $c := .Text}}{{$d.Title}}{{end}}`, "t", "u", "x")
	f.Add(`{{if eq .Title "a"}}1{{else}}2{{end}}{{len .URI}}{{index .Text 1}}`, "a", "", "xy")
	f.Add(`{{define "a"}}{{template "a"}}{{end}}{{block "b" .}}{{.}}{{end}}`, "", "", "")
	f.Add(`{{html .Text | print}}{{/* c */}}{{"{{"}}`, "<", "&", "</document>")
	f.Fuzz(func(t *testing.T, src, title, uri, text string) {
		if strings.Contains(src, "%") {
			return // printf can pad to any width, and the prompt is the user's own
		}
		p, err := parseTemplate(src)
		if err != nil {
			if src == "" || err.Error() == "" {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		if p.tmpl == nil {
			return
		}
		p.goal(src)
		d := Document{Title: title, URI: uri, Text: text}
		got, err := p.render(d)
		other := d
		if !p.uses.title {
			other.Title = "another " + title
		}
		if !p.uses.uri {
			other.URI = "another " + uri
		}
		if again, errAgain := p.render(other); again != got || (err == nil) != (errAgain == nil) {
			t.Errorf("%q uses %+v, and gives %q (%v) and %q (%v)", src, p.uses, got, err, again, errAgain)
		}
	})
}

// FuzzSchema reads schemas of users and answers of models. What the ledger keeps about a wrong
// answer contains none of its text.
func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"object","properties":{"summary":{"type":"string","maxLength":3}},"required":["a"]}`, `{"summary":"MARK"}`)
	f.Add(`{"type":"object","$ref":"#"}`, `{}`)
	f.Add(`{"type":"object","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"properties":{"x":{"$ref":"#/$defs/a"}}}`, `{"x":"MARK"}`)
	f.Add(`{"type":"object","$ref":"file:///etc/passwd"}`, `{}`)
	f.Add(`{"type":"object","patternProperties":{"^(a+)+$":false},"propertyNames":{"enum":["b"]},"not":{}}`, `{"aMARK":1}`)
	f.Add(`{"type":"object","additionalProperties":false,"minProperties":1e400}`, `{"MARK":{"MARK":[]}}`)
	f.Fuzz(func(t *testing.T, schema, answer string) {
		const mark = "5ecretTe3t"
		if strings.Contains(schema, mark) {
			return
		}
		s, err := compileSchema(json.RawMessage(schema))
		if err != nil {
			if err.Error() == "" {
				t.Fatal("no reason")
			}
			return
		}
		v, err := parseOrdered(strings.ReplaceAll(answer, "MARK", mark))
		if err != nil {
			return
		}
		p := s.validate(v)
		switch {
		case p == nil:
		case p.forLedger == "" || p.forModel == "" || strings.Contains(p.forLedger, mark):
			t.Errorf("%+v", p)
		case len(p.forModel) > 2500:
			t.Errorf("the model gets %d bytes", len(p.forModel))
		}
	})
}

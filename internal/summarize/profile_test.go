package summarize

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	with := func(change func(*Profile)) Profile {
		p := profile()
		change(&p)
		return p
	}
	for _, tc := range []struct {
		name string
		p    Profile
		want []string // parts of the error; none is no error
	}{
		{"built in", profile(), nil},
		{"extractive needs no limits", Profile{Model: Extractive, Words: 150}, nil},
		{"all at once", Profile{Temperature: 3}, []string{"model is empty", "words is 0", "max-output-tokens is 0", "temperature is 3"}},
		{"cap below words", with(func(p *Profile) { p.Words = 500 }), []string{"too few for 500 words"}},
		{"prompts of v1 by name", with(func(p *Profile) { p.PromptVersion = PromptV1 }), nil},
		{"prompts of v2", with(func(p *Profile) { p.PromptVersion = PromptV2 }), nil},
		{"prompts of no version", with(func(p *Profile) { p.PromptVersion = "v3" }), []string{`prompt-version is "v3": take v1 or v2`}},
		{"a language", with(func(p *Profile) { p.PromptVersion, p.Language = PromptV2, "pt-BR" }), nil},
		{"no language", with(func(p *Profile) { p.PromptVersion, p.Language = PromptV2, "german" }), []string{`language: "german" is no language tag; take same, or a tag such as de or pt-BR`}},
		{"a language that is not canonical", with(func(p *Profile) { p.PromptVersion, p.Language = PromptV2, "pt-br" }), []string{`the canonical form is "pt-BR"`}},
		{"a language with v1", with(func(p *Profile) { p.Language = "de" }), []string{`language is "de", but prompt-version is v1`, "take prompt-version v2"}},
		{"good prompt", with(func(p *Profile) { p.Prompt = "{{.Title}} {{if .URI}}{{.URI}}{{end}} {{.Text | printf \"%s\"}}" }), nil},
		{"unknown field", with(func(p *Profile) { p.Prompt = "{{.Body}}" }), []string{"prompt: it uses .Body, but only .Text, .Title and .URI are there"}},
		{"unknown field not taken", with(func(p *Profile) { p.Prompt = "{{if eq .Title \"x\"}}{{$.Body}}{{end}}" }), []string{".Body"}},
		{"unknown field within", with(func(p *Profile) { p.Prompt = "{{with .Title}}{{.Body}}{{end}}" }), []string{".Text, .Title and .URI"}},
		{"template syntax", with(func(p *Profile) { p.Prompt = "a\n{{.Text" }), []string{"prompt:2", ".Text, .Title and .URI"}},
		{"unknown function", with(func(p *Profile) { p.Prompt = "{{upper .Text}}" }), []string{`"upper" not defined`}},
		{"blank prompt", with(func(p *Profile) { p.Prompt = " \n" }), []string{"blank"}},
		{"good schema", with(func(p *Profile) {
			p.Schema = json.RawMessage(`{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}}}`)
		}), nil},
		{"schema is no JSON", with(func(p *Profile) { p.Schema = json.RawMessage(`{"type":`) }), []string{"schema: it is not JSON"}},
		{"schema is a list", with(func(p *Profile) { p.Schema = json.RawMessage(`[]`) }), []string{"not a JSON object"}},
		{"schema of a list", with(func(p *Profile) { p.Schema = json.RawMessage(`{"type":"array"}`) }), []string{`"type": "object" at the top`}},
		{"no schema", with(func(p *Profile) { p.Schema = json.RawMessage(`{"type":"object","properties":{"a":{"type":"text"}}}`) }), []string{"not a JSON schema", "/properties/a/type"}},
		{"schema elsewhere", with(func(p *Profile) { p.Schema = json.RawMessage(`{"type":"object","$ref":"file:///etc/passwd"}`) }), []string{"$defs"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := tc.p.Validate()
			if len(tc.want) == 0 {
				if err != nil {
					t.Errorf("error %v", err)
				}
				return
			}
			for _, part := range tc.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v does not say %q", err, part)
				}
			}
		})
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	base := profile()
	base.Schema = json.RawMessage(`{"type":"object"}`)
	same := base
	same.Schema = json.RawMessage("{ \"type\" :\n\"object\" }")
	if base.Hash() != same.Hash() {
		t.Error("space in the schema changes the hash")
	}
	b, err := json.Marshal(same)
	if err != nil {
		t.Fatal(err)
	}
	var read Profile
	if err := json.Unmarshal(b, &read); err != nil || read.Hash() != base.Hash() {
		t.Errorf("JSON changes the hash (%v): %s", err, b)
	}
	if b, err = json.Marshal(profile()); err != nil || string(b) != `{"model":"gpt-4o-mini","words":150,"max_output_tokens":400,"temperature":0}` {
		t.Errorf("JSON %s, %v", b, err)
	}
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{base.Hash(): "base"}
	for name, change := range map[string]func(*Profile){
		"model":       func(p *Profile) { p.Model = "gpt-4o" },
		"prompt":      func(p *Profile) { p.Prompt = "x" },
		"schema":      func(p *Profile) { p.Schema = nil },
		"words":       func(p *Profile) { p.Words++ },
		"cap":         func(p *Profile) { p.MaxOutputTokens++ },
		"temperature": func(p *Profile) { p.Temperature = 0.1 },
		"language":    func(p *Profile) { p.Language = "de" },
		"":            func(*Profile) {},
	} {
		for _, version := range []string{PromptV1, PromptV2} {
			p := base.WithPromptVersion(version)
			change(&p)
			name := name + " " + version
			if name == " v1" {
				continue // base itself
			}
			if other, ok := seen[p.Hash()]; ok {
				t.Errorf("%s gives the same hash as %s", name, other)
			}
			seen[p.Hash()] = name
		}
	}
	named := base
	named.PromptVersion = PromptV1
	if named.Hash() != base.Hash() {
		t.Error("prompts of v1 by name give another hash than without a version")
	}
	if b, err = json.Marshal(profile().WithPromptVersion(PromptV2)); err != nil ||
		string(b) != `{"model":"gpt-4o-mini","prompt_version":"v2","words":150,"max_output_tokens":400,"temperature":0}` {
		t.Errorf("JSON %s, %v", b, err)
	}
	if e := (Profile{Model: Extractive, Words: 100}); e.WithPromptVersion(PromptV2).PromptVersion != "" {
		t.Error("the profile of the built-in engine has a version of prompts")
	}
	a := Profile{Model: Extractive, Words: 100}
	b2 := Profile{Model: Extractive, Words: 100, MaxOutputTokens: 400, Temperature: 1, Prompt: "x", PromptVersion: PromptV2}
	if a.Hash() != b2.Hash() {
		t.Error("what does not matter to the built-in engine changes its hash")
	}
}

func TestNameDependsOnWhatIsUsed(t *testing.T) {
	t.Parallel()
	d := Document{URI: "a", Title: "A", Text: "text"}
	for _, tc := range []struct {
		name, model, prompt string
		want                fields
	}{
		{"built in", "m", "", fields{text: true, title: true}},
		{"extractive", Extractive, "", fields{text: true, title: true}},
		{"text only", "m", "{{.Text}}", fields{text: true}},
		{"no field", "m", "Summarize.", fields{}},
		{"title", "m", "{{.Title}}", fields{title: true}},
		{"address in a condition", "m", "{{if eq .URI \"x\"}}y{{end}}", fields{uri: true}},
		{"address by variable", "m", "{{with .Title}}{{$.URI}}{{end}}", fields{title: true, uri: true}},
		{"the whole", "m", "{{.}}", fields{title: true, uri: true}},
		{"passed on", "m", "{{define \"x\"}}{{.URI}}{{end}}{{template \"x\" .}}", fields{title: true, uri: true}},
		{"in a chain", "m", "{{(printf \"%s\" .URI)}}{{.Text}}", fields{uri: true, text: true}},
		{"in range", "m", "{{range $i, $c := slice .URI 0 0}}{{end}}", fields{}},
	} {
		p := profile()
		p.Model, p.Prompt = tc.model, tc.prompt
		if tc.name == "in range" {
			if err := p.Validate(); err == nil {
				t.Error("a range over text passes")
			}
			continue
		}
		if got := p.uses(); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: uses %+v, want %+v", tc.name, got, tc.want)
		}
		differs := func(change func(*Document)) bool {
			other := d
			change(&other)
			name := p.Namer()
			return name(other) != name(d)
		}
		if !differs(func(d *Document) { d.Text += "." }) {
			t.Errorf("%s: the text does not count", tc.name)
		}
		if got := differs(func(d *Document) { d.Title += "." }); got != tc.want.title {
			t.Errorf("%s: the title counts: %v, want %v", tc.name, got, tc.want.title)
		}
		if got := differs(func(d *Document) { d.URI += "." }); got != tc.want.uri {
			t.Errorf("%s: the address counts: %v, want %v", tc.name, got, tc.want.uri)
		}
	}
	if name := (Profile{Prompt: "{{"}).Namer(); name(d) == name(Document{Text: "text"}) {
		t.Error("a profile that does not validate drops what may be used")
	}
}

// Every field of a profile counts in its hash.
func TestFieldsAreComplete(t *testing.T) {
	t.Parallel()
	fields := Profile{}.fields()
	profileType := reflect.TypeFor[Profile]()
	for i := range profileType.NumField() {
		name, _, _ := strings.Cut(profileType.Field(i).Tag.Get("json"), ",")
		if _, ok := fields[name]; !ok {
			t.Errorf("Profile.fields lacks %s", name)
		}
	}
}

package lenient

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestObjects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"none", "A fine document.", nil},
		{"plain", `{"a":1}`, []string{`{"a":1}`}},
		{"words around", "Here {it} is: {\"a\":1}\nMore?", []string{`{"a":1}`}},
		{"several", `{"a":1} or {"a":2}`, []string{`{"a":1}`, `{"a":2}`}},
		{"list", `[{"a":1}]`, []string{`[{"a":1}]`}},
		{"brackets in prose", `see [1] and [2, 3]: {"a":1}`, []string{`{"a":1}`}},
		{"trailing comma", `{"a":"x",}`, []string{`{"a":"x"}`}},
		{"trailing commas", `{"a":["x","y",],"b":{"c":1,},}`, []string{`{"a":["x","y"],"b":{"c":1}}`}},
		{"line break", "{\"a\":\"x\n\ny\"}", []string{`{"a":"x\n\ny"}`}},
		{"tab and control", "{\"a\":\"x\ty\x01\"}", []string{`{"a":"x\ty\u0001"}`}},
		{"single quotes", `{'a': 'it\'s', 'b': 'x'}`, []string{`{"a":"it's","b":"x"}`}},
		{"apostrophe", `{'a': 'the city's harbour'}`, []string{`{"a":"the city's harbour"}`}},
		{"no quotes", `{a: "x", b_c: 2}`, []string{`{"a":"x","b_c":2}`}},
		{"typographic", "{“a”: “x”}", []string{`{"a":"x"}`}},
		{"Python", `{'a': True, 'b': None, 'c': False}`, []string{`{"a":true,"b":null,"c":false}`}},
		{"comments", "{\n// the summary\n\"a\": \"x\" /* done */\n}", []string{`{"a":"x"}`}},
		{"bad escape", `{"a":"x\_y and \alpha, C:\dir"}`, []string{`{"a":"x\\_y and \\alpha, C:\\dir"}`}},
		{"good escapes beside a trailing comma", `{"a":"\u00e9\ud83d\ude00\n\"q\"",}`, []string{`{"a":"é😀\n\"q\""}`}},
		{"quotation within", `{"a":"He said "yes" and left."}`, []string{`{"a":"He said \"yes\" and left."}`}},
		{"quotation before a comma", `{"a":"He said "yes", then left.","b":1}`, []string{`{"a":"He said \"yes\", then left.","b":1}`}},
		{"two quotations", `{"a":"Words: "yes", "no" and more."}`, []string{`{"a":"Words: \"yes\", \"no\" and more."}`}},
		{"missing comma", "{\"a\":\"x\"\n\"b\":\"y\"}", []string{`{"a":"x","b":"y"}`}},
		{"numbers", `{"a":-1.5e3,"b":[1,2,],}`, []string{`{"a":-1.5e3,"b":[1,2]}`}},
		{"an empty object", `{ }`, []string{`{ }`}},
		{"ellipsis", `{"a": ...} {"a":"x"}`, []string{`{"a":"x"}`}},
		{"fence", "```json\n{\"a\":\"x\",}\n```", []string{`{"a":"x"}`}},
	} {
		got, whole := Objects(tt.text)
		if !whole || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q (whole %t), want %q", tt.name, got, whole, tt.want)
		}
	}
}

// What was cut is not completed, and a draft before it is not taken.
func TestCut(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"summary": "The harb`,
		`{"summary": "The harbour."`,
		`{"summary": "The harbour.",`,
		`{"summary": "The harbour.", "points": [{"a":1}, {"a":`,
		`{"summary":"draft"} and then {"summary": "The harb`,
		`{'summary': 'The harb`,
		"{\"summary\": \"The\nharb",
	} {
		if got, whole := Objects(text); whole || got != nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	if got, ok := String(` "{\"a\":1}" `); !ok || got != `{"a":1}` {
		t.Errorf("%q %t", got, ok)
	}
	for _, text := range []string{`"`, `"a" and "b"`, `x`, ``} {
		if got, ok := String(text); ok {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// Work is bounded also for hostile answers.
func TestBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("{", 1<<14), strings.Repeat("[{", 1<<12), strings.Repeat(`{"a":`, 1<<12), strings.Repeat(`{"a":"`, 1<<12), strings.Repeat("{'", 1<<12), strings.Repeat("{a", 1<<14)} {
		Objects(text)
	}
}

func FuzzObjects(f *testing.F) {
	f.Add(`{"a":"x",}`)
	f.Add("{'a': “b”, // c\n d: [1,],}")
	f.Add(`{"a":"He said "yes", then"}`)
	f.Add(`{"a":"\ud83d\u00zz"}`)
	f.Fuzz(func(t *testing.T, text string) {
		found, whole := Objects(text)
		if !whole && found != nil {
			t.Error("objects of a text that is cut")
		}
		for _, v := range found {
			if !json.Valid([]byte(strings.ToValidUTF8(v, "?"))) {
				t.Errorf("%q is no JSON", v)
			}
		}
	})
}

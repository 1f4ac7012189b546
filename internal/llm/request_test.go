package llm

import (
	"encoding/json"
	"testing"
)

func TestRequestName(t *testing.T) {
	t.Parallel()
	base := func() Request {
		return Request{Model: "m", Messages: []Message{{RoleSystem, "a"}, {RoleUser, "bc"}}, Schema: json.RawMessage(`{"type": "object"}`), SchemaName: "s", MaxOutputTokens: 400}
	}
	// Stored names must stay valid. This one changes only with the version in it.
	const golden = "fd3262720e81c62ad801ef461612575aa5436c417389e944e56bdbb79140c471"
	if got := base().Name(); got != golden {
		t.Errorf("name is %s, was %s", got, golden)
	}
	same := base()
	same.Schema = json.RawMessage("{\n  \"type\":\"object\"\n}")
	if same.Name() != golden {
		t.Error("white space in the schema changes the name")
	}
	for what, change := range map[string]func(*Request){
		"model":           func(r *Request) { r.Model = "n" },
		"role":            func(r *Request) { r.Messages[0].Role = RoleUser },
		"content":         func(r *Request) { r.Messages[1].Content = "bd" },
		"shifted content": func(r *Request) { r.Messages[0].Content, r.Messages[1].Content = "ab", "c" },
		"one more":        func(r *Request) { r.Messages = append(r.Messages, Message{}) },
		"no schema":       func(r *Request) { r.Schema = nil },
		"bad schema":      func(r *Request) { r.Schema = json.RawMessage(`{`) },
		"schema name":     func(r *Request) { r.SchemaName = "" },
		"cap":             func(r *Request) { r.MaxOutputTokens = 401 },
		"temperature":     func(r *Request) { r.Temperature = 0.1 },
	} {
		r := base()
		change(&r)
		if r.Name() == golden {
			t.Errorf("%s does not change the name", what)
		}
	}
}

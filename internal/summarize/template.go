package summarize

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
	"text/template/parse"
)

// instruction is a prompt of the user.
type instruction struct {
	tmpl *template.Template
	uses fields
}

// fields are the fields of a document that a template can show.
type fields struct{ text, title, uri bool }

// restrict clears unused fields, so that they influence neither name nor request.
func (f fields) restrict(d Document) Document {
	if !f.title {
		d.Title = ""
	}
	if !f.uri {
		d.URI = ""
	}
	return d
}

// promptData is the data of a user's template.
type promptData struct {
	Text       block // printed between its delimiters
	Title, URI string
}

// parseTemplate reads a user's prompt. An empty one gives an instruction without a template
// that uses text and title.
func parseTemplate(src string) (*instruction, error) {
	if src == "" {
		return &instruction{uses: fields{text: true, title: true}}, nil
	}
	if strings.TrimSpace(src) == "" {
		return nil, errors.New("it is blank: write an instruction, or leave the setting out for the built-in one")
	}
	t, err := template.New("prompt").Option("missingkey=error").Parse(src)
	if err != nil {
		return nil, fmt.Errorf("%s; it is a Go template with .Text, .Title and .URI (write {{\"{{\"}} for literal braces)",
			strings.TrimPrefix(err.Error(), "template: "))
	}
	w := walker{}
	for _, part := range t.Templates() {
		// The dot of a defined template may be anything.
		w.walk(part.Root, part.Name() == t.Name())
	}
	if w.unknown != "" {
		return nil, fmt.Errorf("it uses .%s, but only .Text, .Title and .URI are there", w.unknown)
	}
	// This finds unknown fields that are reached through with, range or define.
	for _, d := range []promptData{{}, {Text: "text", Title: "title", URI: "uri"}} {
		if err := t.Execute(io.Discard, d); err != nil {
			return nil, fmt.Errorf("%s; only .Text, .Title and .URI are there", strings.TrimPrefix(err.Error(), "template: "))
		}
	}
	return &instruction{tmpl: t, uses: w.uses}, nil
}

// render executes the template. Text is printed as a delimited block.
func (t *instruction) render(d Document) (string, error) {
	var b strings.Builder
	if err := t.tmpl.Execute(&b, promptData{Text: block(d.Text), Title: d.Title, URI: d.URI}); err != nil {
		return "", fmt.Errorf("fill in the prompt: %w", err)
	}
	return strings.TrimSpace(b.String()), nil
}

// goal is the instruction as the chunk prompt quotes it: without anything of a document. src
// is its source.
func (t *instruction) goal(src string) string {
	if t.tmpl == nil {
		return ""
	}
	const place = "(document)"
	s, err := t.render(Document{Title: "(title)", URI: "(address)", Text: place})
	if err != nil {
		return src // it needs a real title or URI
	}
	return strings.ReplaceAll(s, block(place).String(), place)
}

// walker finds the fields that a template can reach. If the dot is not known, all fields
// count as used. A name then depends on more than necessary, which may cost a call but is
// never wrong.
type walker struct {
	uses    fields
	unknown string
}

// walk visits n. root means that the dot is the document.
func (w *walker) walk(n parse.Node, root bool) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, c := range n.Nodes {
			w.walk(c, root)
		}
	case *parse.ActionNode:
		w.walk(n.Pipe, root)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			w.walk(c, root)
		}
	case *parse.CommandNode:
		for _, a := range n.Args {
			w.walk(a, root)
		}
	case *parse.ChainNode:
		w.walk(n.Node, root)
	case *parse.FieldNode:
		w.field(n.Ident[0], root)
	case *parse.VariableNode:
		switch {
		case n.Ident[0] == "$" && len(n.Ident) > 1:
			w.field(n.Ident[1], root)
		case n.Ident[0] == "$":
			w.all()
		}
	case *parse.DotNode:
		w.all()
	case *parse.IfNode:
		w.walk(n.Pipe, root)
		w.walk(n.List, root)
		w.walk(n.ElseList, root)
	case *parse.WithNode:
		w.walk(n.Pipe, root)
		w.walk(n.List, false)
		w.walk(n.ElseList, root)
	case *parse.RangeNode:
		w.walk(n.Pipe, root)
		w.walk(n.List, false)
		w.walk(n.ElseList, root)
	case *parse.TemplateNode:
		w.walk(n.Pipe, root)
	}
}

func (w *walker) field(name string, root bool) {
	switch name {
	case "Text":
		w.uses.text = true
	case "Title":
		w.uses.title = true
	case "URI":
		w.uses.uri = true
	default:
		if root && w.unknown == "" {
			w.unknown = name
		}
		w.all()
	}
}

// all marks title and URI as used, but not the text. A document whose text is not used is
// added after the prompt, and twice is better than never.
func (w *walker) all() { w.uses.title, w.uses.uri = true, true }

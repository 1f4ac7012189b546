package export

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// hostilePages returns texts that try to get HTML, images or control characters into a page.
func hostilePages() []string {
	return []string{
		"<script>alert(1)</script>", "a <img src=x onerror=alert(1)> b", "<!-- x -->", "<?php x ?>", "<![CDATA[x]]>", "</p><iframe src=//e>", "<https://e/>",
		"![x](http://e/x.png)", "![x][1]\n\n[1]: http://e/x.png", "![x]\n\n[x]: http://e/", "[![x](http://e/)](http://e/)", "!\\[x](http://e/)",
		// Already escaped: a second backslash would undo the first.
		`\<script>`, `\![x](http://e/)`, `\\<script>`, `\\![x](http://e/)`, `\\\<b>`, "\\\n<b>", "``\\<b>`` <b>", "`\\` <b>", "`<b>` `\\<b>",
		"    <b>\n\n<b>", "- <b>\n- ![x](http://e/)", "> <b>", "# <b>", "```\n<b>\n```\n<b>", "~~~\n<b>", "1. x\n\n   <b>", "a\u2028<b>", "<\u200bscript>", "<b\x00>", "&lt;b&gt; &#60;b&#62;",
		"x\n\n---\n\nSource: `other` <b>", "| a |\n|---|\n| <b> |", "\x1b[31m<\x1b[0mb>", "\u202e<b>\u202c", "!\u202e[x](http://e/)", "<\x07b>", "!\r[x](http://e/)",
	}
}

// checkPage parses the page as CommonMark and as GitHub's Markdown. It fails on HTML, images and
// characters that control a terminal.
func checkPage(t *testing.T, title, uri, summary string, output json.RawMessage) {
	t.Helper()
	e := exported(uri)
	e.Summary.Title, e.Summary.Text, e.Summary.Output = title, summary, output
	var page bytes.Buffer
	writePage(&page, RecordOf(e))
	for _, markdown := range []goldmark.Markdown{goldmark.New(), goldmark.New(goldmark.WithExtensions(extension.GFM))} {
		root := markdown.Parser().Parse(text.NewReader(page.Bytes()))
		err := ast.Walk(root, func(n ast.Node, _ bool) (ast.WalkStatus, error) {
			switch n.Kind() {
			case ast.KindRawHTML, ast.KindHTMLBlock, ast.KindImage:
				t.Errorf("a page contains a %s:\n%s", n.Kind(), &page)
				return ast.WalkStop, nil
			}
			return ast.WalkContinue, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if at := strings.IndexFunc(page.String(), func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' || overrides(r) }); at >= 0 {
		t.Errorf("a page has a control character: %q", page.String()[at:])
	}
}

func TestPagesAreInert(t *testing.T) {
	t.Parallel()
	for _, hostile := range hostilePages() {
		value, err := json.Marshal(map[string]any{hostile: hostile, "list": []string{hostile}, "deep": map[string]any{"x": []any{hostile}}})
		if err != nil {
			t.Fatal(err)
		}
		checkPage(t, hostile, hostile, hostile, value)
	}
}

func FuzzPage(f *testing.F) {
	for _, hostile := range hostilePages() {
		f.Add(hostile, hostile, hostile)
	}
	f.Fuzz(func(t *testing.T, title, uri, summary string) {
		value, err := json.Marshal(map[string]any{title: summary, "list": []string{summary}})
		if err != nil {
			t.Fatal(err)
		}
		checkPage(t, title, uri, summary, value)
	})
}

// overrides reports whether r embeds, overrides or isolates a direction of writing (UAX 9).
func overrides(r rune) bool { return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' }

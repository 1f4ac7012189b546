package extract

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxToken limits one tag, comment or script of a page, in bytes. The tokenizer holds it in
// memory.
const maxToken = 4 << 20

// htmlText turns elements and text, in document order, into blocks. The same rules apply to a
// tree and to a stream of tokens, in which end tags may be missing.
type htmlText struct {
	blocks
	// skip is the element whose content is dropped, skipDepth how deep it is nested in itself.
	skip      atom.Atom
	skipDepth int
	// chrome also drops navigation and the like.
	chrome bool
	xml    bool
	cells  int // in the current row
}

func (h *htmlText) start(a atom.Atom, hidden bool) {
	if h.skip != 0 {
		if a == h.skip {
			h.skipDepth++
		}
		return
	}
	if dropped(a) || h.chrome && isChrome(a) || hidden && !isVoid(a) {
		h.skip, h.skipDepth = a, 1
		h.newline()
		return
	}
	switch a {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		h.begin(headingMark(int(a.String()[1] - '0')))
	case atom.Br:
		h.newline()
	case atom.Li:
		h.item("- ")
	case atom.Tr:
		h.newline()
		h.cells = 0
	case atom.Td, atom.Th:
		if h.cells > 0 {
			h.cell()
		}
		h.cells++
	case atom.Pre, atom.Textarea:
		h.block()
		h.pre++
	case atom.Dt, atom.Dd, atom.Option:
		h.newline()
	default:
		if isBlock(a) {
			// A paragraph in a list item or a cell continues after the mark.
			if h.mark == "" && !(a == atom.P && h.cells > 0 && h.gap == 0) {
				h.block()
			}
		}
	}
}

func (h *htmlText) end(a atom.Atom) {
	if h.skip != 0 {
		if a == h.skip {
			if h.skipDepth--; h.skipDepth == 0 {
				h.skip = 0
			}
		}
		return
	}
	switch a {
	case atom.Pre, atom.Textarea:
		h.pre = max(0, h.pre-1)
		h.block()
	case atom.Li, atom.Tr, atom.Dt, atom.Dd:
		h.newline()
		h.mark = ""
		h.cells = 0
	case atom.Td, atom.Th:
		h.mark = ""
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		h.block()
	default:
		if isBlock(a) && h.mark == "" && h.cells == 0 {
			h.block()
		}
	}
}

func (h *htmlText) words(s []byte) {
	if h.skip == 0 {
		h.text(s)
	}
}

// walk renders a tree. It does not recurse, because a hostile page may be nested deeply.
func (h *htmlText) walk(root *html.Node) {
	n := root
	for {
		switch n.Type {
		case html.TextNode:
			h.words([]byte(n.Data))
		case html.ElementNode:
			h.start(n.DataAtom, isHidden(n.Attr))
		}
		if n.FirstChild != nil {
			n = n.FirstChild
			continue
		}
		for {
			if n.Type == html.ElementNode && !isVoid(n.DataAtom) {
				h.end(n.DataAtom)
			}
			if n == root {
				return
			}
			if n.NextSibling != nil {
				n = n.NextSibling
				break
			}
			n = n.Parent
		}
	}
}

// stream renders tokens without a tree, for XHTML and for pages too large for a tree. It also
// returns the title.
func (h *htmlText) stream(r io.Reader, more func() error) (title string, err error) {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxToken)
	inTitle := false
	for count := 0; ; count++ {
		if count&255 == 0 {
			if err := more(); err != nil {
				return title, err
			}
		}
		if h.full {
			return title, nil
		}
		switch z.Next() {
		case html.ErrorToken:
			if err := z.Err(); !errors.Is(err, io.EOF) {
				if errors.Is(err, html.ErrBufferExceeded) {
					err = inputError("a single tag, comment or script is larger than 4 MiB")
				}
				return title, err
			}
			return title, nil
		case html.TextToken:
			if inTitle {
				title += string(z.Text()[:min(len(z.Text()), 1024)])
				inTitle = false
				continue
			}
			h.words(z.Text())
		case html.StartTagToken:
			name, attrs := z.TagName()
			a := atom.Lookup(name)
			if a == atom.Title && title == "" && h.skip == 0 {
				inTitle = true
				continue
			}
			h.start(a, attrs && !endsWithoutTag(a) && tokenHidden(z))
		case html.SelfClosingTagToken:
			name, _ := z.TagName()
			if h.xml { // in XHTML <script/> and <title/> are closed
				z.NextIsNotRawText()
			}
			if a := atom.Lookup(name); isVoid(a) {
				h.start(a, false)
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			inTitle = false
			if a := atom.Lookup(name); a != atom.Title {
				h.end(a)
			}
		}
	}
}

func tokenHidden(z *html.Tokenizer) bool {
	for {
		key, value, more := z.TagAttr()
		if hides(string(key), string(value)) {
			return true
		}
		if !more {
			return false
		}
	}
}

func isHidden(attrs []html.Attribute) bool {
	for _, a := range attrs {
		if hides(a.Key, a.Val) {
			return true
		}
	}
	return false
}

// hides reports whether an attribute makes its element invisible.
func hides(key, value string) bool {
	switch key {
	case "hidden":
		return !strings.EqualFold(value, "until-found")
	case "style":
		v := strings.ToLower(strings.ReplaceAll(value[:min(len(value), 1024)], " ", ""))
		return strings.Contains(v, "display:none") || strings.Contains(v, "visibility:hidden")
	}
	return false
}

func dropped(a atom.Atom) bool {
	switch a {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Svg, atom.Iframe, atom.Object, atom.Canvas,
		atom.Select, atom.Datalist, atom.Title, atom.Noframes, atom.Audio, atom.Video, atom.Map, atom.Rp:
		return true
	}
	return false
}

// isChrome reports whether an element surrounds the content of a page.
func isChrome(a atom.Atom) bool {
	switch a {
	case atom.Nav, atom.Aside, atom.Footer, atom.Button, atom.Menu, atom.Dialog:
		return true
	}
	return false
}

// endsWithoutTag reports whether the end tag of an element may be omitted (HTML standard,
// 13.1.2.4). In a stream the end of what such an element hides cannot be seen.
func endsWithoutTag(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Li, atom.Dt, atom.Dd, atom.Tr, atom.Td, atom.Th, atom.Thead, atom.Tbody, atom.Tfoot, atom.Option, atom.Optgroup,
		atom.Html, atom.Body, atom.Head, atom.Colgroup, atom.Caption, atom.Rt:
		return true
	}
	return false
}

func isVoid(a atom.Atom) bool {
	switch a {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Param, atom.Source, atom.Track, atom.Wbr:
		return true
	}
	return false
}

func isBlock(a atom.Atom) bool {
	switch a {
	case atom.P, atom.Div, atom.Section, atom.Article, atom.Main, atom.Header, atom.Footer, atom.Aside, atom.Nav, atom.Ul, atom.Ol, atom.Dl,
		atom.Table, atom.Thead, atom.Tbody, atom.Tfoot, atom.Caption, atom.Blockquote, atom.Figure, atom.Figcaption, atom.Hr, atom.Form, atom.Fieldset,
		atom.Address, atom.Details, atom.Summary, atom.Center, atom.Body:
		return true
	}
	return false
}

// dropBase64 removes long runs of base64, such as inline pictures. They are useless as text and
// would be tokens of many megabytes. It returns data itself if there are none.
func dropBase64(data []byte) []byte {
	const sign = "base64,"
	i := bytes.Index(data, []byte(sign))
	if i < 0 {
		return data
	}
	out := make([]byte, 0, len(data))
	for i >= 0 {
		i += len(sign)
		out = append(out, data[:i]...)
		data = data[i:]
		n := 0
		for n < len(data) && isBase64(data[n]) {
			n++
		}
		if n < 1024 {
			out = append(out, data[:n]...)
		}
		data = data[n:]
		i = bytes.Index(data, []byte(sign))
	}
	return append(out, data...)
}

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' || c == '%'
}

// divideText inserts <wbr>, which has no effect on the text, into megabytes of text without a
// tag, so that no token exceeds maxToken. It returns page itself if there is no such text.
func divideText(page []byte) []byte {
	const run, mark = maxToken / 4, "<wbr>"
	var out []byte
	for rest := page; len(rest) > run; {
		if i := bytes.LastIndexByte(rest[:run], '<'); i >= 0 {
			if out != nil {
				out = append(out, rest[:i+1]...)
			}
			rest = rest[i+1:]
			if len(rest) <= run && out != nil {
				out = append(out, rest...)
			}
			continue
		}
		i := bytes.LastIndexByte(rest[:run], ' ')
		if i < 0 {
			i = run - 1 // no space to divide at
		}
		if out == nil {
			out = append(make([]byte, 0, len(page)+len(page)/run*2*len(mark)), page[:len(page)-len(rest)]...)
		}
		out = append(append(out, rest[:i+1]...), mark...)
		rest = rest[i+1:]
		if len(rest) <= run {
			out = append(out, rest...)
		}
	}
	if out == nil {
		return page
	}
	return out
}

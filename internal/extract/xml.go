package extract

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"

	"github.com/gistmill/gistmill/internal/source"
)

// looksLikeXML requires the declaration. HTML has been ruled out before.
func looksLikeXML(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("<?xml"))
}

// readXMLText returns the text of an XML document, with a line for each element.
func readXMLText(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	b := blocks{max: x.limits.Text}
	count := 0
	err := x.readXML(bytes.NewReader(decode(raw.Data, xmlCharset(raw.Data))), "XML", func(e xmlEvent) error {
		if count++; count&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if e.text != nil {
			b.text(e.text)
		} else {
			b.newline()
		}
		if b.full {
			return x.tooMuchText()
		}
		return nil
	})
	return extracted{text: b.out}, err
}

// xmlCharset reads the encoding from an XML declaration.
func xmlCharset(data []byte) string {
	head := data[:min(len(data), 256)]
	if i := bytes.IndexByte(head, '>'); i > 0 {
		head = head[:i]
	}
	_, after, ok := bytes.Cut(head, []byte("encoding="))
	if !ok || len(after) < 2 {
		return ""
	}
	name, _, _ := bytes.Cut(after[1:], after[:1])
	return string(name)
}

// xmlEvent is one step through an XML document. Names are lower case, without prefix.
type xmlEvent struct {
	name  string
	attr  func(name string) string // valid during the call
	start bool
	end   bool
	text  []byte // valid during the call
}

// readXML steps through XML with the tokenizer of x/net/html. Unlike encoding/xml it can limit
// the size of a token, and so the memory for a hostile document. It does not check that the
// document is well-formed. An element that closes itself gives one event that is both start and
// end.
func (x *Extractor) readXML(r io.Reader, what string, handle func(xmlEvent) error) error {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(maxToken)
	z.AllowCDATA(true)
	depth, attrs := 0, map[string]string{}
	attr := func(name string) string { return attrs[name] }
	for {
		var e xmlEvent
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			err := z.Err()
			switch {
			case errors.Is(err, html.ErrBufferExceeded):
				return inputError("broken %s: a single piece of its XML is larger than 4 MiB", what)
			case !errors.Is(err, io.EOF):
				return err
			case depth > 0:
				return inputError("truncated %s: its XML ends too early", what)
			}
			return nil
		case html.TextToken:
			e.text = z.Text()
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			e.name, e.attr, e.start, e.end = localName(name), attr, true, kind == html.SelfClosingTagToken
			clear(attrs)
			for n := 0; more; n++ {
				var k, v []byte
				if k, v, more = z.TagAttr(); n < 64 && len(v) < 64<<10 {
					attrs[localName(k)] = string(v)
				}
			}
			if !e.end {
				if depth++; depth > x.limits.Depth {
					return inputError("%s nested deeper than %d levels", what, x.limits.Depth)
				}
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			e.name, e.end = localName(name), true
			depth--
		default:
			continue
		}
		if err := handle(e); err != nil {
			return err
		}
	}
}

// localName removes the namespace prefix. In the formats read here, names that x/net/html would
// treat as raw text always have a prefix.
func localName(name []byte) string {
	s := string(name)
	return s[strings.LastIndexByte(s, ':')+1:]
}

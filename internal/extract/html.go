package extract

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	readability "codeberg.org/readeck/go-readability/v2"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"

	"github.com/gistmill/gistmill/internal/source"
)

const (
	// A tree and the copies that readability makes of it take a few hundred bytes per element.
	// Larger pages are read as a stream, without choosing the main content.
	maxTreeBytes = 8 << 20
	maxTreeNodes = 60_000
)

// readHTML returns the main content of a page, or all of its visible text if it finds none.
func readHTML(ctx context.Context, x *Extractor, raw *source.Raw) (extracted, error) {
	declared := ""
	if _, name, certain := charset.DetermineEncoding(raw.Data[:min(len(raw.Data), 1024)], ""); certain || name != "windows-1252" {
		declared = name
	}
	return x.html(ctx, decode(raw.Data, declared))
}

func (x *Extractor) html(ctx context.Context, page []byte) (extracted, error) {
	page = divideText(dropBase64(page))
	nodes, err := countNodes(ctx, page)
	if err != nil {
		return extracted{}, err
	}
	if len(page) <= maxTreeBytes && nodes <= maxTreeNodes {
		// The parser refuses more than 512 nested elements. A stream has no such limit.
		if root, err := html.Parse(bytes.NewReader(page)); err == nil {
			return x.htmlTree(ctx, root)
		}
	}
	h := htmlText{blocks: blocks{max: x.limits.Text}, chrome: true}
	title, err := h.stream(bytes.NewReader(page), ctx.Err)
	if err == nil && len(h.out) == 0 { // all text is inside navigation, or an end tag is missing
		h = htmlText{blocks: blocks{max: x.limits.Text}}
		title, err = h.stream(bytes.NewReader(page), ctx.Err)
	}
	if err == nil && h.full {
		err = x.tooMuchText()
	}
	return extracted{title: title, text: h.out}, err
}

// countNodes counts elements, texts and attributes before a tree is built from them.
func countNodes(ctx context.Context, page []byte) (int, error) {
	z := html.NewTokenizer(bytes.NewReader(page))
	z.SetMaxBuf(maxToken)
	n := 0
	for {
		if n&1023 == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
		switch z.Next() {
		case html.ErrorToken:
			if errors.Is(z.Err(), io.EOF) {
				return n, nil
			}
			return maxTreeNodes + 1, nil // the stream reports the error
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, more := z.TagName(); more; n++ {
				_, _, more = z.TagAttr()
			}
		}
		if n++; n > maxTreeNodes {
			return n, nil
		}
	}
}

func (x *Extractor) htmlTree(ctx context.Context, root *html.Node) (extracted, error) {
	out := extracted{title: treeTitle(root)}
	whole := htmlText{blocks: blocks{max: x.limits.Text}, chrome: true}
	whole.walk(root)
	article, err := readability.FromDocument(root, nil)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if err == nil {
		if t := strings.TrimSpace(article.Title()); t != "" {
			out.title = t
		}
	}
	var main htmlText
	if err == nil && article.Node != nil {
		main = htmlText{blocks: blocks{max: x.limits.Text}, chrome: true}
		main.walk(article.Node)
	}
	chosen := whole
	if enough(main.length(), whole.length()) {
		chosen = main
	}
	if chosen.length() == 0 { // all text is inside elements taken for navigation
		chosen = htmlText{blocks: blocks{max: x.limits.Text}}
		chosen.walk(root)
	}
	if chosen.full {
		return out, x.tooMuchText()
	}
	out.text = chosen.out
	return out, nil
}

// enough reports whether the main content that was found can be complete. An article has some
// length, and is at least a tenth of its page.
func enough(main, whole int) bool {
	return main >= 250 && main*10 >= whole || main*2 >= whole
}

// treeTitle is the title in the head of a page.
func treeTitle(root *html.Node) string {
	var title, og string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.DataAtom {
		case atom.Title:
			if title == "" && n.FirstChild != nil && (n.Parent == nil || n.Parent.DataAtom != atom.Svg) {
				title = n.FirstChild.Data
			}
		case atom.Meta:
			var property, content string
			for _, a := range n.Attr {
				switch a.Key {
				case "property", "name":
					property = a.Val
				case "content":
					content = a.Val
				}
			}
			if property == "og:title" {
				og = content
			}
		case atom.Body:
			if og != "" {
				return og
			}
		}
	}
	if og != "" {
		return og
	}
	return title
}

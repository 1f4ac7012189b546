package extract

import (
	"context"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/html"
)

// epub reads the chapters of a book in the order of its spine (EPUB 3.3, 5).
func (x *Extractor) epub(ctx context.Context, a *archive) (extracted, error) {
	a.what = "EPUB"
	if err := x.epubLocked(a); err != nil {
		return extracted{}, err
	}
	packagePath := ""
	err := x.readPart(a, "META-INF/container.xml", func(e xmlEvent) error {
		if e.start && e.name == "rootfile" && packagePath == "" {
			packagePath = e.attr("full-path")
		}
		return nil
	})
	if err != nil {
		return extracted{}, err
	}
	if packagePath == "" {
		return extracted{}, inputError("broken EPUB: it names no package document")
	}
	book, err := x.epubPackage(a, packagePath)
	if err != nil {
		return extracted{}, err
	}
	h := htmlText{blocks: blocks{max: x.limits.Text}, xml: true}
	read := 0
	for _, id := range book.spine {
		file := book.files[id]
		if file == "" || !a.has(file) {
			continue // read the chapters that exist
		}
		r, err := a.open(file)
		if err != nil {
			return extracted{}, err
		}
		h.block()
		h.skip, h.pre, h.cells = 0, 0, 0
		_, err = h.stream(r, ctx.Err)
		_ = r.Close()
		if err != nil {
			return extracted{}, err
		}
		if h.full {
			return extracted{}, x.tooMuchText()
		}
		read++
	}
	if read == 0 {
		return extracted{}, inputError("broken EPUB: all of its chapters are missing")
	}
	return extracted{title: book.title, text: h.out}, nil
}

// epubLocked refuses books with encrypted chapters. Obfuscated fonts do not matter.
func (x *Extractor) epubLocked(a *archive) error {
	const list = "META-INF/encryption.xml"
	if !a.has(list) {
		return nil
	}
	return x.readPart(a, list, func(e xmlEvent) error {
		if !e.start || e.name != "cipherreference" {
			return nil
		}
		uri, err := url.PathUnescape(e.attr("uri"))
		if err != nil {
			uri = e.attr("uri")
		}
		switch strings.ToLower(path.Ext(uri)) {
		case ".xhtml", ".html", ".htm", ".xml", ".opf":
			return inputError("encrypted EPUB: its chapters are locked (DRM)")
		}
		return nil
	})
}

// epubBook is the content of a package document.
type epubBook struct {
	title string
	files map[string]string // manifest, by id
	spine []string
}

func (x *Extractor) epubPackage(a *archive, packagePath string) (epubBook, error) {
	b := epubBook{files: map[string]string{}}
	base := path.Dir(path.Clean(packagePath))
	inTitle := false
	err := x.readPart(a, packagePath, func(e xmlEvent) error {
		switch {
		case e.name == "title":
			inTitle = e.start && !e.end && b.title == ""
		case inTitle && e.text != nil:
			b.title = extendTitle(b.title, []byte(html.UnescapeString(string(e.text[:min(len(e.text), maxTitle)]))))
		case e.start && e.name == "item":
			href, err := url.PathUnescape(e.attr("href"))
			if err != nil {
				href = e.attr("href")
			}
			if !strings.Contains(e.attr("properties"), "nav") {
				b.files[e.attr("id")] = path.Join(base, href)
			}
		case e.start && e.name == "itemref" && e.attr("linear") != "no":
			b.spine = append(b.spine, e.attr("idref"))
		}
		return nil
	})
	if err != nil {
		return b, err
	}
	if len(b.spine) == 0 {
		return b, inputError("broken EPUB: it lists no chapters")
	}
	return b, nil
}

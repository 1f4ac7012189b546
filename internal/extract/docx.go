package extract

import (
	"context"
	"io"
	"path"
	"strconv"
	"strings"
)

// docx reads a WordprocessingML document (ECMA-376 part 1, 17).
func (x *Extractor) docx(ctx context.Context, a *archive) (extracted, error) {
	main, err := x.docxMain(a)
	if err != nil {
		return extracted{}, err
	}
	headings := map[string]int{}
	if styles := path.Join(path.Dir(main), "styles.xml"); a.has(styles) {
		if headings, err = x.docxHeadings(a, styles); err != nil {
			return extracted{}, err
		}
	}
	out := extracted{}
	if a.has("docProps/core.xml") {
		if out.title, err = x.docxTitle(a); err != nil {
			return extracted{}, err
		}
	}
	d := docxText{blocks: blocks{max: x.limits.Text}, headings: headings}
	if err := x.readPart(a, main, d.event); err != nil {
		return extracted{}, err
	}
	if notes := path.Join(path.Dir(main), "footnotes.xml"); a.has(notes) {
		d.block()
		if err := x.readPart(a, notes, d.event); err != nil {
			return extracted{}, err
		}
	}
	if d.full {
		return extracted{}, x.tooMuchText()
	}
	if out.title == "" {
		out.title = d.title
	}
	out.text = d.out
	return out, ctx.Err()
}

func (x *Extractor) readPart(a *archive, name string, handle func(xmlEvent) error) error {
	r, err := a.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if err := x.readXML(r, a.what, handle); err != nil {
		return err
	}
	// The checksum is compared at the end, and the tokenizer may stop before it.
	_, err = io.Copy(io.Discard, r)
	return err
}

// docxMain finds the main part through the relationships of the package.
func (x *Extractor) docxMain(a *archive) (string, error) {
	main := "word/document.xml"
	if a.has("_rels/.rels") {
		err := x.readPart(a, "_rels/.rels", func(e xmlEvent) error {
			if e.start && e.name == "relationship" && strings.HasSuffix(e.attr("type"), "/officeDocument") {
				if target := strings.TrimPrefix(e.attr("target"), "/"); a.has(path.Clean(target)) {
					main = path.Clean(target)
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	if !a.has(main) {
		return "", inputError("broken DOCX: it has no main document")
	}
	return main, nil
}

// docxHeadings returns the outline level (from 1) of each paragraph style that has or inherits
// one. Level 0 marks the style of the title.
func (x *Extractor) docxHeadings(a *archive, part string) (map[string]int, error) {
	levels, based := map[string]int{}, map[string]string{}
	var id string
	err := x.readPart(a, part, func(e xmlEvent) error {
		if !e.start {
			return nil
		}
		switch e.name {
		case "style":
			id = e.attr("styleid")
		case "name":
			if level, ok := styleLevel(e.attr("val")); ok {
				levels[id] = level
			}
		case "basedon":
			based[id] = e.attr("val")
		case "outlinelvl":
			if n, err := strconv.Atoi(e.attr("val")); err == nil && n >= 0 && n < 9 {
				if _, named := levels[id]; !named {
					levels[id] = n + 1
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for style := range based {
		at := style
		for range 10 { // longer chains do not occur, but cycles may
			if level, ok := levels[at]; ok {
				if level > 0 {
					levels[style] = level
				}
				break
			}
			if at = based[at]; at == "" {
				break
			}
		}
	}
	return levels, nil
}

// styleLevel knows the built-in styles by their invariant names.
func styleLevel(name string) (int, bool) {
	low := strings.ToLower(name)
	if low == "title" {
		return 0, true
	}
	if n, ok := strings.CutPrefix(low, "heading "); ok {
		if level, err := strconv.Atoi(n); err == nil && level >= 1 && level <= 9 {
			return level, true
		}
	}
	return 0, false
}

func (x *Extractor) docxTitle(a *archive) (string, error) {
	title, inside := "", false
	err := x.readPart(a, "docProps/core.xml", func(e xmlEvent) error {
		switch {
		case e.name == "title":
			inside = e.start && !e.end
		case inside && e.text != nil:
			title = extendTitle(title, e.text)
		}
		return nil
	})
	return usableTitle(title), err
}

// docxText builds the text of the body.
type docxText struct {
	blocks
	headings map[string]int
	title    string

	inText, inTitle bool
	skip            string // element whose content is dropped
	skipDepth       int
	tables, cells   int
}

func (d *docxText) event(e xmlEvent) error {
	if d.skip != "" {
		if e.name == d.skip {
			if e.start && !e.end {
				d.skipDepth++
			} else if !e.start {
				d.skipDepth--
			}
			if d.skipDepth == 0 {
				d.skip = ""
			}
		}
		return nil
	}
	switch {
	case e.text != nil:
		if d.inText {
			d.text(e.text)
			if d.inTitle {
				d.title = extendTitle(d.title, e.text)
			}
		}
	case e.start:
		d.open(e)
		if e.end {
			d.shut(e.name)
		}
	default:
		d.shut(e.name)
	}
	if d.full {
		return errTextFull
	}
	return nil
}

// errTextFull ends the walk. The caller checks blocks.full.
var errTextFull = inputError("too much text")

func (d *docxText) open(e xmlEvent) {
	switch e.name {
	// A second form of the preceding element, deleted text, field codes.
	case "fallback", "del", "movefrom", "instrtext", "deltext":
		if !e.end {
			d.skip, d.skipDepth = e.name, 1
		}
	case "t":
		d.inText = true
	case "p":
		d.inTitle = false
		switch {
		case d.tables == 0:
			d.block()
		case d.gap == 0 && d.cells == 0:
			d.newline()
		}
	case "pstyle":
		if level, ok := d.headings[e.attr("val")]; ok {
			d.inTitle = level == 0 && d.title == ""
			d.begin(headingMark(max(level, 1)))
		}
	case "outlinelvl":
		if n, err := strconv.Atoi(e.attr("val")); err == nil && n >= 0 && n < 9 && d.mark == "" {
			d.begin(headingMark(n + 1))
		}
	case "numpr":
		if d.mark == "" && d.tables == 0 {
			d.begin("- ")
		}
	case "tab":
		d.soft = true
	case "br", "cr":
		d.newline()
	case "nobreakhyphen":
		d.word([]byte{'-'})
	case "tbl":
		if d.tables == 0 {
			d.block()
		}
		d.tables++
	case "tr":
		d.newline()
		d.cells = 0
	case "tc":
		if d.cells > 0 {
			d.cell()
		}
		d.cells++
	}
}

func (d *docxText) shut(name string) {
	switch name {
	case "t":
		d.inText = false
	case "p":
		if d.tables == 0 {
			d.block()
		} else {
			d.soft = true
		}
		d.inTitle = false
	case "tr":
		d.newline()
		d.cells = 0
	case "tbl":
		if d.tables = max(0, d.tables-1); d.tables == 0 {
			d.block()
		}
	}
}

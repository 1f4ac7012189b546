package extract

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"

	"github.com/gistmill/gistmill/internal/source"
)

// kind is a type of document: how to read it, or why it cannot be read.
type kind struct {
	mediaType string
	read      func(context.Context, *Extractor, *source.Raw) (extracted, error)
	// factor estimates the memory for each byte of the document, in addition to the document.
	factor int64
	// cost, if not nil, estimates that memory instead.
	cost func(data []byte, l Limits) int64
	// reason says why the type cannot be read. empty says why a document of it has no text.
	reason, empty string
}

func (k kind) weight(data []byte, l Limits) int64 {
	const base = 256 << 10
	if k.cost != nil {
		return base + k.cost(data, l)
	}
	factor := k.factor
	if !utf8.Valid(data) {
		factor += 2 // for decoding
	}
	return base + factor*int64(len(data))
}

func (k kind) emptyReason() string {
	if k.empty != "" {
		return k.empty
	}
	return "empty document: it holds no text"
}

func unsupported(mediaType, hint string) kind {
	return kind{mediaType: mediaType, reason: fmt.Sprintf("unsupported type %s (%s)", mediaType, hint)}
}

// detect finds the type of a document from its content. The name decides only between types
// that are all text.
func detect(raw *source.Raw) kind {
	if k, ok := stagedKind(raw); ok {
		return k
	}
	text := kind{mediaType: "text/plain", read: readPlain, factor: 2}
	if raw.PlainText {
		return text
	}
	data := raw.Data
	if len(bytes.TrimSpace(data)) == 0 {
		return kind{mediaType: "text/plain", reason: "empty document"}
	}
	ext := strings.ToLower(path.Ext(raw.Name))
	if charset, _ := sniffUnicode(data); charset != "" {
		return textKind(raw, ext, text)
	}
	found := mimetype.Detect(data)
	for m := found; m != nil; m = m.Parent() {
		switch base, _, _ := strings.Cut(m.String(), ";"); base {
		case "text/html", "application/xhtml+xml":
			return textKind(raw, ext, text)
		case "text/rtf", "application/rtf":
			return unsupported("text/rtf", "save it as DOCX")
		case "application/postscript":
			return unsupported(base, "save it as PDF")
		case "text/plain":
			return textKind(raw, ext, text)
		}
	}
	base, _, _ := strings.Cut(found.String(), ";")
	switch {
	case base == "application/octet-stream" && nearlyText(data):
		return textKind(raw, ext, text)
	case isPDF(data):
		return kind{mediaType: "application/pdf", read: readPDF, empty: "no text (scanned?): the PDF has pages but no text layer",
			cost: func(data []byte, l Limits) int64 { return min(l.PDFMemory, 48<<20+2*int64(len(data))) }}
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("PK\x05\x06")):
		return zipKind(raw, ext)
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		return oldOfficeKind(data, base)
	case strings.HasPrefix(base, "image/"):
		return unsupported(base, "an image: text in pictures is not read")
	case strings.HasPrefix(base, "audio/"), strings.HasPrefix(base, "video/"):
		return unsupported(base, "a recording")
	}
	return unsupported(base, "binary")
}

// readPlain reads text without markup.
func readPlain(_ context.Context, _ *Extractor, raw *source.Raw) (extracted, error) {
	if raw.PlainText {
		return extracted{text: raw.Data}, nil
	}
	return extracted{text: decode(raw.Data, "")}, nil
}

// nearlyText accepts a text with a few control characters, such as terminal output or a form
// feed of an old program. mimetype takes a text with a single one for binary data.
func nearlyText(data []byte) bool {
	head := data[:min(len(data), headBytes)]
	controls := 0
	for _, c := range head {
		switch {
		case c == 0:
			return false
		case c < 0x20 && !isSpace(c) && c != 0x1b, c == 0x7f:
			controls++
		}
	}
	return controls*50 <= len(head) || controls == 1
}

// isPDF looks for the header in the first 1024 bytes, as PDFium does.
func isPDF(data []byte) bool { return bytes.Contains(data[:min(len(data), 1024)], []byte("%PDF-")) }

// oldOfficeKind distinguishes an encrypted DOCX from the old Office formats. It is wrapped in
// the container of those formats (MS-OFFCRYPTO 2.3.1).
func oldOfficeKind(data []byte, mediaType string) kind {
	if bytes.Contains(data, []byte("E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00")) {
		return kind{mediaType: "application/x-ole-storage", reason: "encrypted DOCX: it opens only with a password"}
	}
	return unsupported(mediaType, "an old Office format: save it as DOCX or PDF")
}

// textKind distinguishes the types that are text.
func textKind(raw *source.Raw, ext string, text kind) kind {
	head := decodedHead(raw.Data)
	switch {
	case looksLikeEmail(head, ext):
		return kind{mediaType: "message/rfc822", read: readEmail, factor: 8}
	case looksLikeHTML(head):
		return kind{mediaType: "text/html", read: readHTML, factor: 14}
	case looksLikeXML(head):
		return kind{mediaType: "text/xml", read: readXMLText, factor: 3}
	case looksLikeJSON(raw.Data, head, ext):
		return kind{mediaType: "application/json", read: readJSON, factor: 13}
	case looksLikeCSV(head, len(head) < len(raw.Data), ext):
		return kind{mediaType: "text/csv", read: readCSV,
			cost: func(data []byte, l Limits) int64 { return 2 * min(l.Text, 14*int64(len(data))) }}
	case ext == ".md" || ext == ".markdown" || looksLikeMarkdown(head):
		return kind{mediaType: "text/markdown", read: readMarkdown, factor: 2}
	}
	return text
}

// looksLikeHTML follows the WHATWG sniffing standard, 7.1: a known tag at the start, after
// comments and white space.
func looksLikeHTML(head []byte) bool {
	rest := bytes.TrimLeft(head, " \t\r\n\f")
	for bytes.HasPrefix(rest, []byte("<!--")) || bytes.HasPrefix(rest, []byte("<?xml")) {
		stop := "-->"
		if rest[1] == '?' {
			stop = "?>"
		}
		i := bytes.Index(rest, []byte(stop))
		if i < 0 {
			return bytes.Contains(bytes.ToLower(rest), []byte("<html"))
		}
		rest = bytes.TrimLeft(rest[i+len(stop):], " \t\r\n\f")
	}
	if len(rest) == 0 || rest[0] != '<' {
		return false
	}
	low := bytes.ToLower(rest[:min(len(rest), 32)])
	for _, tag := range []string{"!doctype html", "html", "head", "body", "title", "meta", "script", "style", "div", "p", "h1", "h2",
		"table", "article", "section", "main", "ul", "ol", "font", "br", "a ", "b", "center", "link", "nav", "header"} {
		if after, ok := bytes.CutPrefix(low[1:], []byte(tag)); ok {
			if len(after) == 0 || bytes.IndexByte([]byte(" \t\r\n/>"), after[0]) >= 0 || strings.HasSuffix(tag, " ") {
				return true
			}
		}
	}
	return false
}

// looksLikeMarkdown requires a heading at the start, or two different signs of Markdown.
func looksLikeMarkdown(head []byte) bool {
	signs, first, fence := 0, true, false
	var heading, list, link, code bool
	for line := range bytes.SplitSeq(head, []byte{'\n'}) {
		line = bytes.TrimRight(line, "\r ")
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if bytes.HasPrefix(line, []byte("```")) {
			fence = !fence
			code = true
			continue
		}
		if fence {
			continue
		}
		if level := headingLevel(line); level > 0 {
			if first && level == 1 {
				return true
			}
			heading = true
		}
		if bytes.HasPrefix(line, []byte("- ")) || bytes.HasPrefix(line, []byte("* ")) {
			list = true
		}
		if i := bytes.Index(line, []byte("](")); i > 0 && bytes.IndexByte(line[:i], '[') >= 0 {
			link = true
		}
		first = false
	}
	for _, s := range []bool{heading, link, code} {
		if s {
			signs++
		}
	}
	return signs >= 2 || heading && list
}

// headingLevel is the level of an ATX heading (CommonMark 0.31, 4.2), 0 for other lines.
func headingLevel(line []byte) int {
	n := 0
	for n < len(line) && line[n] == '#' {
		n++
	}
	if n == 0 || n > 6 || n < len(line) && line[n] != ' ' && line[n] != '\t' || n == len(line) {
		return 0
	}
	return n
}

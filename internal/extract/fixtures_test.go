package extract

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"crypto/md5"
	"crypto/rc4"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
)

// pdfOptions say what kind of PDF makePDF builds.
type pdfOptions struct {
	title    string
	password string // encrypted with 40-bit RC4 (ISO 32000-1, 7.6.3) if not empty
}

// makePDF builds a PDF with one page for each text, one printed line for each line of it.
func makePDF(o pdfOptions, pages ...string) []byte {
	var objects []string
	add := func(s string) int { objects = append(objects, s); return len(objects) }
	add("<< /Type /Catalog /Pages 2 0 R >>")
	add("") // the pages, set below
	add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	var kids []string
	for _, text := range pages {
		var c strings.Builder
		c.WriteString("BT /F1 12 Tf 14 TL 72 760 Td\n")
		for line := range strings.SplitSeq(text, "\n") {
			fmt.Fprintf(&c, "(%s) Tj T*\n", strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(line))
		}
		c.WriteString("ET")
		content := add(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", c.Len(), c.String()))
		page := add(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>", content))
		kids = append(kids, fmt.Sprintf("%d 0 R", page))
	}
	objects[1] = fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", strings.Join(kids, " "), len(kids))
	trailer := ""
	if o.title != "" {
		trailer += fmt.Sprintf(" /Info %d 0 R", add("<< /Title ("+o.title+") >>"))
	}
	if o.password != "" {
		const pad = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"
		padded := []byte(o.password + pad)[:32]
		crypt := func(key, data []byte) []byte {
			c, err := rc4.NewCipher(key[:5])
			if err != nil {
				panic(err)
			}
			out := make([]byte, len(data))
			c.XORKeyStream(out, data)
			return out
		}
		ownerKey := md5.Sum(padded)
		owner := crypt(ownerKey[:], padded)
		id := []byte("0123456789abcdef")
		sum := md5.Sum(append(append(append(append([]byte{}, padded...), owner...), 0xfc, 0xff, 0xff, 0xff), id...))
		user := crypt(sum[:], []byte(pad))
		trailer += fmt.Sprintf(" /ID [<%s><%s>] /Encrypt %d 0 R", hex.EncodeToString(id), hex.EncodeToString(id),
			add(fmt.Sprintf("<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>", hex.EncodeToString(owner), hex.EncodeToString(user))))
	}
	return assemblePDF(objects, trailer)
}

// assemblePDF writes objects to a file. The first object is the catalog.
func assemblePDF(objects []string, trailer string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	offsets := make([]int, len(objects))
	for i, s := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, s)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, at := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, trailer, xref)
	return b.Bytes()
}

// part is one file of an archive.
type part struct{ name, data string }

func makeZip(tb testing.TB, parts ...part) []byte {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, p := range parts {
		w, err := z.Create(p.name)
		if err == nil {
			_, err = io.WriteString(w, p.data)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

const (
	contentTypes = `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/word/document.xml"/></Types>`
	wordSpace    = `xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"`
)

// makeDOCX builds a DOCX with this body and, unless they are empty, these styles and this
// title.
func makeDOCX(tb testing.TB, body, styles, title string) []byte {
	tb.Helper()
	parts := []part{
		{"[Content_Types].xml", contentTypes},
		{"_rels/.rels", `<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`},
		{"word/document.xml", `<?xml version="1.0" encoding="UTF-8"?><w:document ` + wordSpace + `><w:body>` + body + `</w:body></w:document>`},
	}
	if styles != "" {
		parts = append(parts, part{"word/styles.xml", `<w:styles ` + wordSpace + `>` + styles + `</w:styles>`})
	}
	if title != "" {
		parts = append(parts, part{"docProps/core.xml", `<cp:coreProperties xmlns:dc="x"><dc:title>` + title + `</dc:title></cp:coreProperties>`})
	}
	return makeZip(tb, parts...)
}

func wordParagraph(text string) string { return "<w:p><w:r><w:t>" + text + "</w:t></w:r></w:p>" }

// deflated returns a repeated text as one DEFLATE stream.
func deflated(tb testing.TB, unit []byte, times int64) []byte {
	tb.Helper()
	var packed bytes.Buffer
	f, err := flate.NewWriter(&packed, flate.BestCompression)
	for ; err == nil && times > 0; times-- {
		_, err = f.Write(unit)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return packed.Bytes()
}

// zlibbed is deflated in the zlib format of PDF streams (RFC 1950).
func zlibbed(tb testing.TB, unit []byte, times int64) []byte {
	tb.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	for range times {
		if _, err := z.Write(unit); err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return packed.Bytes()
}

// makeBomb builds an archive whose only part inflates to this number of zero bytes. If declared
// is not 0, it is the wrong size that the archive declares for the part.
func makeBomb(tb testing.TB, name string, inflated int64, declared uint64) []byte {
	tb.Helper()
	packed := deflated(tb, bytes.Repeat([]byte{0}, 1<<10), inflated>>10)
	if declared == 0 {
		declared = uint64(inflated)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if w, err := z.Create("[Content_Types].xml"); err != nil {
		tb.Fatal(err)
	} else if _, err := io.WriteString(w, contentTypes); err != nil {
		tb.Fatal(err)
	}
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: uint64(len(packed)), UncompressedSize64: declared})
	if err == nil {
		_, err = w.Write(packed)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// makeEPUB builds a book of chapters named c0.xhtml, c1.xhtml, …. The spine has them in this
// order and the archive in the opposite one.
func makeEPUB(tb testing.TB, title string, extra []part, chapters ...string) []byte {
	tb.Helper()
	parts := []part{
		{"mimetype", "application/epub+zip"},
		{"META-INF/container.xml", `<container><rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`},
	}
	manifest, spine := "", ""
	for i := len(chapters) - 1; i >= 0; i-- {
		parts = append(parts, part{fmt.Sprintf("OPS/text/c%d.xhtml", i), chapters[i]})
		manifest += fmt.Sprintf(`<item id="i%d" href="text/c%d.xhtml" media-type="application/xhtml+xml"/>`, i, i)
		spine = fmt.Sprintf(`<itemref idref="i%d"/>`, i) + spine
	}
	parts = append(parts, part{"OPS/book.opf", `<package><metadata xmlns:dc="x"><dc:title>` + title + `</dc:title></metadata><manifest>` + manifest + `</manifest><spine>` + spine + `</spine></package>`})
	return makeZip(tb, append(parts, extra...)...)
}

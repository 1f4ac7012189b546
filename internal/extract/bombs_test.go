package extract

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

// overlapping builds an archive after Fifield (A better zip bomb, WOOT 2019) in its simplest
// form: all names refer to the same compressed file. extra are ordinary parts.
func overlapping(tb testing.TB, names []string, packed []byte, declared uint32, extra ...part) []byte {
	tb.Helper()
	var b, directory bytes.Buffer
	order := binary.LittleEndian
	header := func(to *bytes.Buffer, central bool, name string, method uint16, size, inflated uint32, at int) {
		h := order.AppendUint32(nil, 0x04034b50)
		if central {
			h = order.AppendUint16(order.AppendUint32(nil, 0x02014b50), 20)
		}
		for _, n := range []uint16{20, 0, method, 0, 0} {
			h = order.AppendUint16(h, n)
		}
		for _, n := range []uint32{0, size, inflated} { // no checksum
			h = order.AppendUint32(h, n)
		}
		h = order.AppendUint16(h, uint16(len(name)))
		h = order.AppendUint16(h, 0)
		if central {
			h = order.AppendUint32(append(h, make([]byte, 10)...), uint32(at))
		}
		to.Write(h)
		to.WriteString(name)
	}
	for _, p := range extra {
		header(&directory, true, p.name, 0, uint32(len(p.data)), uint32(len(p.data)), b.Len())
		header(&b, false, p.name, 0, uint32(len(p.data)), uint32(len(p.data)), 0)
		b.WriteString(p.data)
	}
	at := b.Len()
	header(&b, false, names[0], 8, uint32(len(packed)), declared, 0)
	b.Write(packed)
	for _, name := range names {
		header(&directory, true, name, 8, uint32(len(packed)), declared, at)
	}
	start := b.Len()
	b.Write(directory.Bytes())
	count := uint16(len(names) + len(extra)) // modulo 65536, as readers compute it
	end := append(order.AppendUint32(nil, 0x06054b50), 0, 0, 0, 0)
	end = order.AppendUint16(order.AppendUint16(end, count), count)
	end = order.AppendUint32(order.AppendUint32(end, uint32(directory.Len())), uint32(start))
	b.Write(append(end, 0, 0))
	return b.Bytes()
}

// thickBook is an EPUB whose chapters are all the same compressed file.
func thickBook(tb testing.TB, chapters int, packed []byte, declared uint32) []byte {
	tb.Helper()
	var names []string
	var manifest, spine strings.Builder
	for i := range chapters {
		names = append(names, fmt.Sprintf("c%d", i))
		fmt.Fprintf(&manifest, `<item id="i%d" href="c%d"/>`, i, i)
		fmt.Fprintf(&spine, `<itemref idref="i%d"/>`, i)
	}
	return overlapping(tb, names, packed, declared,
		part{"mimetype", "application/epub+zip"},
		part{"META-INF/container.xml", `<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>`},
		part{"b.opf", `<package><manifest>` + manifest.String() + `</manifest><spine>` + spine.String() + `</spine></package>`})
}

// pdfWith is a PDF of one page with this MediaBox and this stream as its content.
func pdfWith(box, dictionary string, content []byte) []byte {
	return assemblePDF([]string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [5 0 R] /Count 1 >>", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
		fmt.Sprintf("<< /Length %d %s >>\nstream\n%s\nendstream", len(content), dictionary, content),
		"<< /Type /Page /Parent 2 0 R /MediaBox " + box + " /Contents 4 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
	}, "")
}

const flateOnce, flateTwice = "/Filter /FlateDecode", "/Filter [/FlateDecode /FlateDecode]"

// Documents that grow a thousandfold, or nest deeply, are refused for the right reason or read
// correctly within the default limits. Either way little memory is allocated.
func TestBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const million, line = 1_000_000 / hostileScale, "BT /F1 12 Tf (words) Tj ET\n"
	laughs := `<!DOCTYPE l [<!ENTITY l0 "lol">`
	for i := range 9 {
		laughs += fmt.Sprintf(`<!ENTITY l%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&l%d;", i), 10))
	}
	laughs += "]>"
	headers := "From: a@b\nTo: c@d\nSubject: S\n"
	lines20 := strings.Repeat(strings.Repeat("A", 76)+"\r\n", 20<<20/78/hostileScale)
	for _, tc := range []struct {
		name string
		data func() []byte
		// want is a part of the reason or the text. After "=" it is the beginning of the text.
		want string
		most int64 // MiB that may be allocated in addition to the data; default 64
	}{
		{name: "1000-to-1.docx", data: func() []byte { return makeBomb(t, "word/document.xml", 128<<20, 0) }, want: "zip bomb: 134 MB in a file of"},
		{name: "1000-to-1-lying.docx", data: func() []byte { return makeBomb(t, "word/document.xml", 128<<20, 100) }, want: "broken DOCX: a part is damaged"},
		{name: "overlapping.epub", data: func() []byte { return thickBook(t, 10_000, deflated(t, []byte("<p>words</p>"), 1<<20/12), 1<<20) }, want: "zip bomb: 10 GB in a file of"},
		{name: "overlapping-lying.epub", data: func() []byte { return thickBook(t, 10_000, deflated(t, []byte("<p>x</p>"), 1<<20/8), 64) }, want: "broken EPUB: a part is damaged"},
		{name: "nested.docx", data: func() []byte {
			inner := makeBomb(t, "word/document.xml", 64<<20, 0)
			for range 5 {
				inner = makeZip(t, part{"word/embeddings/inner.docx", string(inner)})
			}
			return makeZip(t, part{"[Content_Types].xml", contentTypes}, part{"word/document.xml", "<w:document>" + wordParagraph("Outer.") + "</w:document>"}, part{"word/embeddings/oleObject.zip", string(inner)})
		}, want: "=Outer."},
		{name: "nested.zip", data: func() []byte { return makeZip(t, part{"a.zip", string(makeBomb(t, "b", 64<<20, 0))}) }, want: "unsupported type application/zip"},
		{name: "entries.docx", data: func() []byte {
			var names []string
			for i := range 100_000 {
				names = append(names, fmt.Sprint("word/", i))
			}
			return overlapping(t, names, []byte{3, 0}, 0, part{"[Content_Types].xml", contentTypes})
		}, want: "zip bomb: 100001 entries, the limit is 20000"},
		{name: "entries-lying.docx", data: func() []byte {
			return overlapping(t, strings.Split(strings.Repeat("x ", 1<<20/hostileScale), " "), []byte{3, 0}, 0)
		}, want: "entries, the limit is 20000"},
		{name: "title.docx", data: func() []byte {
			return makeDOCX(t, wordParagraph("Text."), "", strings.Repeat("x<b/>", million))
		}, want: "=Text."},
		{name: "titled.docx", data: func() []byte {
			return makeDOCX(t, `<w:p><w:pPr><w:pStyle w:val="Titel"/></w:pPr>`+strings.Repeat("<w:r><w:t>x</w:t></w:r>", million/4)+`</w:p>`, wordStyles, "")
		}, want: "=# xxx"},
		{name: "spine.epub", data: func() []byte {
			return makeZip(t, part{"mimetype", "application/epub+zip"}, part{"META-INF/container.xml", `<container><rootfile full-path="b.opf"/></container>`}, part{"c", "<p>x</p>"},
				part{"b.opf", `<package><manifest><item id="i" href="c"/></manifest><spine>` + strings.Repeat(`<itemref idref="i"/>`, million/20) + `</spine></package>`})
		}, want: "=x", most: 1000},
		{name: "deep.xml", data: func() []byte { return []byte("<?xml version=\"1.0\"?>" + strings.Repeat("<a>", million)) }, want: "XML nested deeper than 500 levels"},
		{name: "deep.docx", data: func() []byte { return makeDOCX(t, strings.Repeat("<w:p>", million), "", "") }, want: "DOCX nested deeper than 500 levels"},
		{name: "deep.html", data: func() []byte { return []byte("<html><body>" + strings.Repeat("<div>", million) + "deep") }, want: "=deep"},
		{name: "deep.json", data: func() []byte { return []byte(strings.Repeat("[", million)) }, want: "JSON nested deeper than 500 levels"},
		{name: "deep", data: func() []byte { return []byte(strings.Repeat(`{"a":`, million)) }, want: `={"a":{"a":`},
		{name: "laughs.xml", data: func() []byte { return []byte(`<?xml version="1.0"?>` + laughs + "<a>&l9;</a>") }, want: "&l9;"},
		{name: "laughs.docx", data: func() []byte {
			return makeZip(t, part{"[Content_Types].xml", contentTypes}, part{"word/document.xml", laughs + "<w:document>" + wordParagraph("&l9;") + "</w:document>"})
		}, want: "=&l9;"},
		{name: "external.xml", data: func() []byte {
			return []byte(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd"><!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]><a>before &e; after</a>`)
		}, want: "before &e; after"},
		{name: "stream.pdf", data: func() []byte {
			return pdfWith("[0 0 612 792]", flateOnce, zlibbed(t, bytes.Repeat([]byte(" "), 1<<10), 1<<18/hostileScale))
		}, want: "PDF"},
		{name: "stream-twice.pdf", data: func() []byte {
			return pdfWith("[0 0 612 792]", flateTwice, zlibbed(t, zlibbed(t, bytes.Repeat([]byte(" "), 1<<10), 1<<18/hostileScale), 1))
		}, want: "PDF"},
		{name: "text.pdf", data: func() []byte { return pdfWith("[0 0 612 792]", flateOnce, zlibbed(t, []byte(line), million/4)) }, want: ""},
		{name: "box.pdf", data: func() []byte { return pdfWith("[-1e30 -1e30 1e30 1e30]", "", []byte(line)) }, want: "=words"},
		{name: "objects.pdf", data: func() []byte {
			packed := zlibbed(t, []byte("1 0 2 0 3 0 "), 10*million)
			return assemblePDF([]string{"<< /Type /Catalog /Pages 3 0 R >>", fmt.Sprintf("<< /Type /ObjStm /N 1000000000 /First 5 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream", len(packed), packed)}, "")
		}, want: "broken PDF"},
		{name: "quoted.eml", data: func() []byte {
			return []byte(headers + "Content-Transfer-Encoding: quoted-printable\n\n" + strings.Repeat("=41=\n", 4*million))
		}, want: "=From: a@b", most: 200},
		{name: "base64.eml", data: func() []byte { return []byte(headers + "Content-Transfer-Encoding: base64\n\n" + lines20) }, want: "binary", most: 200},
		{name: "attached.eml", data: func() []byte {
			return []byte(headers + "Content-Type: multipart/mixed; boundary=B\n\n--B\n\nBody.\n--B\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString(makeBomb(t, "a", 64<<20, 0)) + "\n--B--\n")
		}, want: "=From: a@b"},
		{name: "parameters.eml", data: func() []byte {
			var b strings.Builder
			for i := range million / 25 {
				fmt.Fprintf(&b, ";\n name*%d*=%%41", i)
			}
			return []byte(headers + "Content-Type: text/plain" + b.String() + "\n\nBody.")
		}, want: "=From: a@b", most: 200},
		{name: "words.eml", data: func() []byte {
			return []byte("From: a@b\nSubject: " + strings.Repeat("=?utf-8?q?=41?=\n ", million/20) + "\n\nBody.")
		}, want: "=From: a@b", most: 200},
		{name: "utf-7.eml", data: func() []byte { return []byte(headers + "Content-Type: text/plain; charset=utf-7\n\n+ADw-script+AD4-") }, want: "=From: a@b"},
		{name: "utf-7.html", data: func() []byte { return []byte("<html><meta charset=utf-7><body><p>+ADw-script+AD4-") }, want: "=+ADw-script+AD4-"},
		{name: "nuls.txt", data: func() []byte { return []byte("\xff\xfe" + strings.Repeat("\x00\x00", 2*million)) }, want: "binary"},
		{name: "between.txt", data: func() []byte { return []byte("\xff\xfe" + strings.Repeat("a\x00\x00\x00", million)) }, want: "binary"},
		{name: "line.txt", data: func() []byte { return bytes.Repeat([]byte("x"), 60<<20/hostileScale) }, want: "=xxx", most: 200},
		{name: "line.csv", data: func() []byte { return append([]byte("a,b\n"), bytes.Repeat([]byte("x"), 60<<20/hostileScale)...) }, want: "=a: xxx", most: 1000},
	} {
		data := tc.data()
		most := tc.most
		if most == 0 {
			most = 64
		}
		// A new Extractor for each case. The first PDF starts PDFium, which is not measured.
		x := New(Limits{})
		if strings.HasSuffix(tc.name, ".pdf") {
			if _, err := extract(t, x, "first.pdf", makePDF(pdfOptions{}, "first")); err != nil {
				t.Fatal(err)
			}
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		doc, err := extract(t, x, tc.name, data)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		asked := int64(after.TotalAlloc - before.TotalAlloc)
		got := ""
		if bad := (*source.InputError)(nil); errors.As(err, &bad) {
			got = bad.Reason
		} else if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		} else {
			got = "=" + doc.Text[:min(len(doc.Text), 40)]
			if len(doc.Title) > maxTitle || strings.Contains(doc.Text, "root:") || strings.Contains(doc.Text, "lollol") {
				t.Errorf("%s: title of %d bytes, text %.100q", tc.name, len(doc.Title), doc.Text)
			}
		}
		t.Logf("%-22s %9d bytes %6.2fs %5d MiB allocated  %.70q", tc.name, len(data), took.Seconds(), asked>>20, got)
		if strings.HasPrefix(tc.want, "=") && !strings.HasPrefix(got, tc.want) || !strings.Contains(got, strings.TrimPrefix(tc.want, "=")) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if asked > most<<20 {
			t.Errorf("%s allocated %d MiB, want at most %d", tc.name, asked>>20, most)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}

package extract

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/internal/source"
)

func testContext() context.Context { return context.Background() }

func extract(t *testing.T, x *Extractor, name string, data []byte) (*Document, error) {
	t.Helper()
	return x.Extract(t.Context(), &source.Raw{Name: name, Data: data})
}

func newExtractor(t *testing.T, l Limits) *Extractor {
	t.Helper()
	x := New(l)
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

const wordStyles = `<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>` +
	`<w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>` +
	`<w:style w:styleId="Mine"><w:name w:val="My Own"/><w:basedOn w:val="berschrift1"/></w:style>` +
	`<w:style w:styleId="Deep"><w:name w:val="Deep"/><w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>`

func TestExtractFormats(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("A sentence of the article that says something worth keeping. ", 12)
	cases := []struct {
		name      string
		data      []byte
		mediaType string
		title     string
		text      string
	}{
		{"plain.txt", []byte("One line.\r\nTwo.\rThree.\n\n\n\nFour.  \n"), "text/plain", "", "One line.\nTwo.\nThree.\n\nFour."},
		{"noname", []byte("Only words."), "text/plain", "", "Only words."},
		{"utf8bom.txt", []byte("\xef\xbb\xbfwith mark"), "text/plain", "", "with mark"},
		{"utf16le.txt", []byte("\xff\xfeG\x00r\x00\xfc\x00n\x00"), "text/plain", "", "Grün"},
		{"utf16be.txt", []byte("\xfe\xff\x00G\x00r\x00\xfc\x00n"), "text/plain", "", "Grün"},
		{"utf16bare.txt", []byte("a\x00 \x00b\x00o\x00o\x00k\x00 \x00o\x00n\x00 \x00i\x00t\x00"), "text/plain", "", "a book on it"},
		{"latin.txt", []byte("Die Stra\xdfe f\xfchrt \xfcber die Br\xfccke in das sch\xf6ne, gro\xdfe D\xf6rfchen \x96 sagt man."), "text/plain", "", "Die Straße führt über die Brücke in das schöne, große Dörfchen – sagt man."},
		{"koi.txt", []byte("\xf7\xd3\xc5 \xd3\xde\xc1\xd3\xd4\xcc\xc9\xd7\xd9\xc5 \xd3\xc5\xcd\xd8\xc9 \xd0\xcf\xc8\xcf\xd6\xc9 \xc4\xd2\xd5\xc7 \xce\xc1 \xc4\xd2\xd5\xc7\xc1, \xcb\xc1\xd6\xc4\xc1\xd1 \xce\xc5\xd3\xde\xc1\xd3\xd4\xcc\xc9\xd7\xc1\xd1 \xd3\xc5\xcd\xd8\xd1 \xce\xc5\xd3\xde\xc1\xd3\xd4\xcc\xc9\xd7\xc1 \xd0\xcf-\xd3\xd7\xcf\xc5\xcd\xd5."), "text/plain", "", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему."},
		{"sjis.txt", []byte("\x93\xfa\x96\x7b\x8c\xea\x82\xcc\x95\xb6\x8f\xcd\x82\xf0\x93\xc7\x82\xde\x82\xb1\x82\xc6\x82\xaa\x82\xc5\x82\xab\x82\xdc\x82\xb7\x81\x42"), "text/plain", "", "日本語の文章を読むことができます。"},
		{"hidden.txt", []byte("vis\u200bible\u202e text\U000e0041\U000e0042 and\u00a0more\u2060\x07"), "text/plain", "", "visible text and more"},
		{"persian.txt", []byte("می\u200cخواهم"), "text/plain", "", "می\u200cخواهم"},
		{"readme.md", []byte("Intro\n\n# The Title\n\n- a\n- b\n"), "text/markdown", "The Title", "Intro\n\n# The Title\n\n- a\n- b"},
		{"front.md", []byte("---\ntitle: \"From the front\"\ntags: [a]\n---\n\nBody."), "text/markdown", "From the front", "Body."},
		{"rule.md", []byte("---\nnot front matter\n---\n\nBody."), "text/markdown", "", "---\nnot front matter\n---\n\nBody."},
		{"setext", []byte("Some Title\n==========\n\n## Sub\n\nSee [it](http://x.example/).\n"), "text/markdown", "Some Title", "Some Title\n==========\n\n## Sub\n\nSee [it](http://x.example/)."},
		{"a.html", []byte("<!DOCTYPE html><title>T &amp; U</title><body><nav><a href=/>Home</a></nav><article><h2>Part</h2><p>" + long + "<p>" + long + "</article><footer>imprint</footer>"), "text/html", "T & U",
			"## Part\n\n" + strings.TrimSpace(long) + "\n\n" + strings.TrimSpace(long)},
		{"small.html", []byte("<html><head><meta property='og:title' content='Open'><title>x</title></head><body><table><tr><th>a<th>b<tr><td>1<td>2</table><ul><li>one<li><p>two</p></ul><pre>  x\n y</pre></body></html>"), "text/html", "Open",
			"a | b\n1 | 2\n\n- one\n- two\n\n  x\n y"},
		{"latin.html", []byte("<html><head><meta charset=iso-8859-1></head><body><p>Gr\xfc\xdfe \x80 5</p></body></html>"), "text/html", "", "Grüße € 5"},
		{"misnamed.txt", []byte("<html><body><p>It is a page.</p></body></html>"), "text/html", "", "It is a page."},
		{"a.json", []byte(`{"name":"Ada","born":1815,"tags":["x","y"],"in":{"k":null,"deep":[{"a":1},{"b":true}]}}`), "application/json", "",
			"name: Ada\nborn: 1815\ntags:\n  - x\n  - y\nin:\n  k: null\n  deep:\n    -\n      a: 1\n    -\n      b: true"},
		{"a.csv", []byte("name,city\nAda,London\n\"Babbage, C.\",\"Walworth\nRoad\"\n"), "text/csv", "", "name: Ada; city: London\nname: Babbage, C.; city: Walworth Road"},
		{"b.tsv", []byte("1\t2\n3\t4\n"), "text/csv", "", "1 | 2\n3 | 4"},
		{"semicolons.csv", []byte("a;b\n1,5;2\n"), "text/csv", "", "a: 1,5; b: 2"},
		{"a.xml", []byte("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><r><p>Gr\xfcn &amp; <b>bl\xe4u</b></p><q/></r>"), "text/xml", "", "Grün &\nbläu"},
		{"a.eml", []byte("From: Ada <ada@example.org>\r\nTo: b@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 2 Jan 2006 15:04:05 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n" +
			"--B\r\nContent-Type: multipart/alternative; boundary=C\r\n\r\n--C\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6nen Tag=\r\n noch.\r\n--C\r\nContent-Type: text/html\r\n\r\n<p>not this</p>\r\n--C--\r\n" +
			"--B\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"plan.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte("%PDF-1.4 whatever")) + "\r\n--B--\r\n"),
			"message/rfc822", "Grüße", "From: Ada <ada@example.org>\nTo: b@example.org\nDate: Mon, 2 Jan 2006 15:04:05 +0000\n\nSchönen Tag noch.\n\nAttachments: plan.pdf"},
		{"html.eml", []byte("From: a@example.org\nSubject: S\nDate: Mon, 2 Jan 2006 15:04:05 +0000\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>Only <b>HTML</b> here.</p></body></html>"),
			"message/rfc822", "S", "From: a@example.org\nDate: Mon, 2 Jan 2006 15:04:05 +0000\n\nOnly HTML here."},
		{"a.docx", makeDOCX(t, `<w:p><w:pPr><w:pStyle w:val="Titel"/></w:pPr><w:r><w:t>The Report</w:t></w:r></w:p>`+
			`<w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Chap</w:t></w:r><w:r><w:t xml:space="preserve">ter &amp; verse</w:t></w:r></w:p>`+
			`<w:p><w:r><w:t xml:space="preserve">Some </w:t></w:r><w:r><w:t>words.</w:t><w:tab/><w:t>More.</w:t><w:br/><w:t>Line.</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>`+
			`<w:p><w:pPr><w:pStyle w:val="Mine"/></w:pPr><w:r><w:t>Inherited</w:t></w:r></w:p><w:p><w:pPr><w:pStyle w:val="Deep"/></w:pPr><w:r><w:t>Third</w:t></w:r></w:p>`+
			`<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/></w:numPr></w:pPr><w:r><w:t>item</w:t></w:r></w:p>`+
			`<w:tbl><w:tr><w:tc>`+wordParagraph("a")+`</w:tc><w:tc>`+wordParagraph("b")+`</w:tc></w:tr><w:tr><w:tc>`+wordParagraph("c")+`</w:tc><w:tc>`+wordParagraph("d")+`</w:tc></w:tr></w:tbl>`+
			`<mc:AlternateContent><mc:Choice>`+wordParagraph("once")+`</mc:Choice><mc:Fallback>`+wordParagraph("once")+`</mc:Fallback></mc:AlternateContent>`, wordStyles, ""),
			"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "The Report",
			"# The Report\n\n# Chapter & verse\n\nSome words. More.\nLine.\n\n# Inherited\n\n### Third\n\n- item\n\na | b\nc | d\n\nonce"},
		{"titled.docx", makeDOCX(t, wordParagraph("Body."), "", "Core title"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "Core title", "Body."},
		{"noext", makeDOCX(t, wordParagraph("By content."), "", ""), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "", "By content."},
		{"a.epub", makeEPUB(t, "A &amp; B", nil,
			"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/><script src='x'/></head><body><h1>One</h1><p>First <i>chapter</i>.</p></body></html>",
			"<html><head><title>x</title></head><body><h2>Two</h2><p>Second.</p></body></html>"),
			"application/epub+zip", "A & B", "# One\n\nFirst chapter.\n\n## Two\n\nSecond."},
		{"a.pdf", makePDF(pdfOptions{title: "On Things"}, "First line of the page\nthat runs on.", "Second page."), "application/pdf", "On Things", "First line of the page\nthat runs on.\n\nSecond page."},
		{"hyphen.pdf", makePDF(pdfOptions{title: "report.docx"}, "An exam-\nple of words that run", "on over the page."), "application/pdf", "", "An example of words that run\non over the page."},
	}
	x := newExtractor(t, Limits{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc, err := extract(t, x, c.name, c.data)
			if err != nil {
				t.Fatal(err)
			}
			if doc.MediaType != c.mediaType || doc.Title != c.title || doc.Text != c.text {
				t.Errorf("got  %q %q\n%q\nwant %q %q\n%q", doc.MediaType, doc.Title, doc.Text, c.mediaType, c.title, c.text)
			}
		})
	}
}

func TestExtractRefuses(t *testing.T) {
	t.Parallel()
	docx := makeDOCX(t, wordParagraph(strings.Repeat("Words and words. ", 500)), wordStyles, "T")
	pdf := makePDF(pdfOptions{}, "Some text.")
	damaged := append([]byte(nil), docx...)
	for i := 600; i < 640; i++ {
		damaged[i] ^= 0xff
	}
	cases := []struct {
		name   string
		data   []byte
		reason string
	}{
		{"empty.txt", nil, "empty document"},
		{"blank.txt", []byte(" \n\t\r\n"), "empty document"},
		{"invisible.txt", []byte("\u200b\u200b\u2060\ufeff"), "empty document"},
		{"empty.html", []byte("<html><head><title>T</title></head><body><script>x()</script></body></html>"), "empty document"},
		{"locked.pdf", makePDF(pdfOptions{password: "secret"}, "Some text."), "encrypted PDF"},
		{"scan.pdf", makePDF(pdfOptions{}, ""), "no text (scanned?)"},
		{"cut.pdf", pdf[:200], "truncated PDF"},
		{"broken.pdf", []byte("%PDF-1.7\nnonsense\n%%EOF\n"), "broken PDF"},
		{"cut.docx", docx[:len(docx)/2], "truncated DOCX"},
		{"damaged.docx", damaged, "broken DOCX"},
		{"nomain.docx", makeZip(t, part{"[Content_Types].xml", "<Types/>"}), "broken DOCX: it has no main document"},
		{"unclosed.docx", makeZip(t, part{"[Content_Types].xml", contentTypes}, part{"word/document.xml", "<w:document><w:body><w:p>"}), "truncated DOCX"},
		{"bomb.docx", makeBomb(t, "word/document.xml", 20<<20, 0), "zip bomb: 21 MB in a file of"},
		{"lying.docx", makeBomb(t, "word/document.xml", 20<<20, 1000), "DOCX"},
		{"other.docx", makeBomb(t, "whatever.bin", 20<<20, 0), "zip bomb"},
		{"many.docx", makeZip(t, make([]part, 20001)...), "zip bomb: 20001 entries"},
		{"locked.docx", append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"+strings.Repeat("\x00", 600)), "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00"...), "encrypted DOCX"},
		{"old.doc", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600)), "an old Office format"},
		{"a.zip", makeZip(t, part{"a.txt", "x"}), "unsupported type application/zip"},
		{"a.xlsx", makeZip(t, part{"[Content_Types].xml", "<Types/>"}, part{"xl/workbook.xml", "<x/>"}), "spreadsheet"},
		{"locked.epub", makeEPUB(t, "T", []part{{"META-INF/encryption.xml", `<encryption><enc:EncryptedData><enc:CipherData><enc:CipherReference URI="OPS/text/c0.xhtml"/></enc:CipherData></enc:EncryptedData></encryption>`}}, "<p>x"), "encrypted EPUB"},
		{"nospine.epub", makeEPUB(t, "T", nil), "broken EPUB"},
		{"prog", []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00\x01\x02", 100)), "unsupported type application/x-"},
		{"noise", []byte("\x00\x01\x02\x03\x04\x05\xfe\x00\x01\x80\x02\x03\x04\x05\xfe\x00\x01\x02\x03"), "unsupported type application/octet-stream (binary)"},
		{"late.txt", []byte(strings.Repeat("Text at first. ", 300) + strings.Repeat("\x00\x01\x02\x03\xff", 5000)), "binary"},
		{"a.png", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00"), "unsupported type image/png"},
		{"a.rtf", []byte(`{\rtf1\ansi hello}`), "unsupported type text/rtf"},
		{"broken.json", []byte(`{"a": nope}`), "broken JSON"},
		{"cut.json", []byte(`{"a": [1, 2`), "truncated JSON"},
		{"deep.json", []byte(strings.Repeat("[", 5000)), "JSON nested deeper"},
		{"deep.xml", []byte("<?xml version='1.0'?>" + strings.Repeat("<a>", 5000)), "nested deeper"},
		{"locked.eml", []byte("From: a@example.org\nSubject: S\nDate: x\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; boundary=B\n\n--B\n\nx\n--B--\n"), "encrypted e-mail"},
		{"large.txt", []byte(strings.Repeat("x", 65<<20)), "too large: 68 MB, the limit is 64 MiB (--max-document-bytes)"},
	}
	x := newExtractor(t, Limits{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc, err := extract(t, x, c.name, c.data)
			bad := (*source.InputError)(nil)
			if !errors.As(err, &bad) || !strings.Contains(bad.Reason, c.reason) {
				t.Errorf("got %v, %v; want a reason with %q", doc, err, c.reason)
			}
		})
	}
}

func TestExtractEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := newExtractor(t, Limits{})
	for name, data := range map[string][]byte{"a.txt": []byte("x"), "a.pdf": makePDF(pdfOptions{}, "x"), "a.docx": makeDOCX(t, wordParagraph("x"), "", "")} {
		if _, err := x.Extract(ctx, &source.Raw{Name: name, Data: data}); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

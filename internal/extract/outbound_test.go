package extract

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// visits returns the address of a server and the count of its connections. Nothing should
// connect to it.
func visits(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count := new(atomic.Int64)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String(), count
}

// luring are documents of every format that name an address or a file in every way known to
// make readers of the format go there.
func luring(t *testing.T, url, file string) map[string][]byte {
	t.Helper()
	doctype := `<!DOCTYPE x [<!ENTITY far SYSTEM "` + url + `/entity"><!ENTITY near SYSTEM "file://` + file + `"><!ENTITY % all SYSTEM "` + url + `/dtd"> %all;]>`
	page := `<!DOCTYPE html SYSTEM "` + url + `/dtd"><html><head><base href="` + url + `/"><link rel=stylesheet href="` + url + `/css"><link rel=canonical href="` + url + `/c">
<meta http-equiv=refresh content="0; url=` + url + `/refresh"><meta property="og:image" content="` + url + `/og"><script src="` + url + `/js"></script></head>
<body background="` + url + `/bg"><h1>Lure</h1><p>` + strings.Repeat("The lock-keeper wrote of the water and of the barges. ", 10) + `</p><img src="` + url + `/img" srcset="` + url + `/2x 2x">
<iframe src="` + url + `/frame"></iframe><object data="` + url + `/o"></object><embed src="file://` + file + `"><video poster="` + url + `/v"><source src="` + url + `/s"></video>
<svg><image href="` + url + `/svg"/><use href="` + url + `/use"/></svg><a href="` + url + `/a" ping="` + url + `/ping">a link</a></body></html>`
	external := `<Relationship Id="x%d" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="` + url + `/%[2]s" TargetMode="External"/>`
	relations := `<Relationships>`
	for i, kind := range []string{"attachedTemplate", "image", "hyperlink", "oleObject", "frame", "subDocument", "officeDocument", "styles"} {
		relations += fmt.Sprintf(external, i, kind)
	}
	relations += `</Relationships>`
	body := wordParagraph("The water stood high.") + `<w:p><w:r><w:instrText>INCLUDETEXT "` + url + `/field" INCLUDEPICTURE "` + url + `/p"</w:instrText></w:r></w:p><w:altChunk r:id="x5"/>`
	word := func(document string) []byte {
		return makeZip(t, part{"[Content_Types].xml", contentTypes},
			part{"_rels/.rels", `<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`},
			part{"word/document.xml", document}, part{"word/_rels/document.xml.rels", relations}, part{"word/_rels/settings.xml.rels", relations})
	}
	pdf := assemblePDF([]string{
		"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /URI /URI (" + url + "/open) >> /AA << /WC << /S /SubmitForm /F (" + url + "/submit) >> >> >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents [4 0 R 5 0 R] /Resources << /Font << /F1 6 0 R >> /XObject << /X 5 0 R >> >> " +
			"/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /GoToR /F << /FS /URL /F (" + url + "/goto) >> >> >>] >>",
		"<< /Length 56 >>\nstream\nBT /F1 12 Tf 72 760 Td (The water stood high.) Tj ET /X Do\nendstream",
		"<< /Length 0 /F << /FS /URL /F (" + url + "/stream) >> /Subtype /Image >>\nstream\n\nendstream",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}, "")
	return map[string][]byte{
		"page.html":   []byte(page),
		"page.xhtml":  []byte(`<?xml version="1.0"?>` + doctype + `<html xmlns="http://www.w3.org/1999/xhtml"><body><p>The water stood high. &far; &near;</p></body></html>`),
		"data.xml":    []byte(`<?xml version="1.0"?><?xml-stylesheet href="` + url + `/xsl"?>` + doctype + `<x xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="` + url + `/xi"/>The water. &far; &near;</x>`),
		"links.docx":  word(`<?xml version="1.0"?><w:document ` + wordSpace + ` xmlns:r="r"><w:body>` + body + `</w:body></w:document>`),
		"entity.docx": word(`<?xml version="1.0"?>` + doctype + `<w:document ` + wordSpace + `><w:body>` + wordParagraph("The water. &far; &near;") + `</w:body></w:document>`),
		"book.epub": makeEPUB(t, "Book", []part{{"META-INF/rights.xml", doctype + "<r>&far;</r>"}},
			page, `<?xml version="1.0"?>`+doctype+`<html><body><p>The water. &far; &near;</p></body></html>`),
		"paper.pdf": pdf,
		"letter.eml": []byte("From: a@b.test\r\nSubject: Lure\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: message/external-body; access-type=URL; URL=\"" + url +
			"/body\"\r\n\r\nContent-Type: text/plain\r\n\r\n--B\r\nContent-Type: text/html\r\n\r\n" + page + "\r\n--B--\r\n"),
		"notes.md":    []byte("# Lure\n\n![x](" + url + "/img) [a](" + url + ") <" + url + ">\n\n[i]: " + url + "\n\n<img src=\"" + url + "\">\n\nThe water stood high.\n"),
		"data.json":   []byte(`{"$ref": "` + url + `/ref", "$schema": "` + url + `/schema", "text": "The water stood high."}`),
		"table.csv":   []byte("a,b\n=WEBSERVICE(\"" + url + "\"),The water stood high.\n"),
		"lines.jsonl": []byte(`{"id": "1", "text": "` + url + ` The water.", "url": "` + url + `/url"}` + "\n" + `{"id": "` + url + `/id", "text": "The water."}` + "\n"),
		"link.url":    []byte("[InternetShortcut]\nURL=" + url + "/shortcut\n"),
		"page.svg":    []byte(doctype + `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="x"><image xlink:href="` + url + `/i"/><text>The water &far;</text></svg>`),
	}
}

// No reader follows an address or a file name in a document. An address could be that of a
// metadata service or of another tenant.
func TestDocumentsLeadNowhere(t *testing.T) {
	t.Parallel()
	address, count := visits(t)
	const inside = "what-is-in-the-file-beside"
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(inside), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	all := luring(t, "http://"+address, secret)
	for name, data := range all {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(address)) && !strings.Contains(name, ".docx") && !strings.Contains(name, ".epub") {
			t.Errorf("%s names no address", name)
		}
	}
	s := openFolder(t, dir)
	x := newExtractor(t, Limits{})
	read := 0
	for _, e := range list(t, s) {
		_, doc, err := x.Read(t.Context(), s, e.Ref)
		if err != nil {
			t.Logf("%s: %v", e.URI, err) // a refusal is fine too
			continue
		}
		read++
		if strings.Contains(doc.Text+doc.Title, inside) {
			t.Errorf("%s contains another file: %s", e.URI, doc.Text)
		}
	}
	if read < 8 {
		t.Errorf("only %d of %d documents were read, which proves little", read, len(all))
	}
	if n := count.Load(); n != 0 {
		t.Errorf("documents caused %d connections", n)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The server counts a connection before it closes it.
	if _, err := conn.Read(make([]byte, 1)); err == nil || count.Load() != 1 {
		t.Errorf("a visit is not counted: %d, %v", count.Load(), err)
	}
}

//go:build integration

package acceptance

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// note returns a short document, a different one for each number.
func note(n int) string {
	return fmt.Sprintf(`Note %[1]d from the weather station

Observer %[1]d climbed the tower at %[2]d minutes past six and wrote down what the instruments said. The wind came from the
west at %[3]d knots, steady, and the barometer was at %[4]d hectopascals after a fall during the night. By noon the clouds
had opened and the ferry number %[1]d left the harbour with %[5]d passengers. In the afternoon the observer repaired the
rain gauge, which had been leaking since the spring, and sent reading %[1]d to the institute in the city. The institute
answered that the reading agreed with the satellite within two per cent.
`, n, n%60, n%40+3, 980+n%50, n%300+1)
}

// write writes a file into docs.
func (u *user) write(name string, content []byte) {
	u.t.Helper()
	path := u.path("docs/" + name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		u.t.Fatal(err)
	}
}

// notes writes the notes first to last-1 into docs, one file each.
func (u *user) notes(first, last int) {
	u.t.Helper()
	for n := first; n < last; n++ {
		u.write(noteName(n), []byte(note(n)))
	}
}

func noteName(n int) string { return fmt.Sprintf("note-%04d.txt", n) }

// lines writes the notes 0 to n-1 into docs/notes.jsonl, one line each.
func (u *user) lines(n int) {
	u.t.Helper()
	var b bytes.Buffer
	for i := range n {
		b.WriteString(jsonLine(u.t, fmt.Sprint(i), note(i)))
	}
	u.write("notes.jsonl", b.Bytes())
}

// jsonLine returns a document of a JSONL file.
func jsonLine(t *testing.T, id, text string) string {
	t.Helper()
	line, err := json.Marshal(map[string]string{"id": id, "text": text})
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

// example returns a document from the repository's examples.
func example(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "documents", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// latin1 encodes a text in ISO 8859-1.
func latin1(text string) []byte {
	var b []byte
	for _, r := range text {
		b = append(b, byte(r))
	}
	return b
}

// encryptedPDF returns a PDF with an unknown password: the standard security handler (ISO
// 32000-1, 7.6.3) with a check value that no password produces.
func encryptedPDF() []byte {
	content := "BT /F1 12 Tf 72 720 Td (unreadable text) Tj ET"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
		fmt.Sprintf("<< /Filter /Standard /V 1 /R 2 /Length 40 /P -44 /O <%s> /U <%s> >>", strings.Repeat("5a", 32), strings.Repeat("a5", 32)),
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	offsets := make([]int, len(objects))
	for i, object := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	id := strings.Repeat("01", 16)
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R /Encrypt 6 0 R /ID [<%s> <%s>] >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, id, id, xref)
	return b.Bytes()
}

// bomb returns a small DOCX whose text is 300 MiB long.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	part := func(name string) io.Writer {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	_, _ = io.WriteString(part("[Content_Types].xml"), `<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">`+
		`<Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>`+
		`<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`)
	_, _ = io.WriteString(part("_rels/.rels"), `<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`+
		`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`)
	w := part("word/document.xml")
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>`)
	block := bytes.Repeat([]byte("boom "), 1<<20/5)
	for range 300 {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.WriteString(w, `</w:t></w:r></w:p></w:body></w:document>`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// writeLarge writes a text of about the given number of bytes without holding it in memory.
func (u *user) writeLarge(name string, size int) {
	u.t.Helper()
	var block bytes.Buffer
	for n := 0; block.Len() < 1<<20; n++ {
		block.WriteString(note(n))
	}
	f, err := os.Create(u.path("docs/" + name))
	if err != nil {
		u.t.Fatal(err)
	}
	for written := 0; written < size; written += block.Len() {
		if _, err := f.Write(block.Bytes()); err != nil {
			u.t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		u.t.Fatal(err)
	}
}

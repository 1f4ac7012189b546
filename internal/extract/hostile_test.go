package extract

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gistmill/gistmill/internal/source"
)

// Every good document of a folder is read. Every bad one has a reason that names its problem.
func TestFolderWithBadDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	docx := makeDOCX(t, wordParagraph(strings.Repeat("Words. ", 900)), "", "")
	write(t, dir, map[string]string{
		"good.txt": "Good text.", "good.md": "# Good", "good.html": "<html><body><p>Good page.</p></body></html>", "good.pdf": string(makePDF(pdfOptions{}, "Good PDF.")),
		"good.docx": string(docx), "good.epub": string(makeEPUB(t, "Good", nil, "<p>Good book.</p>")), "good.eml": "From: a@example.org\nTo: b@example.org\nSubject: Good\n\nGood mail.\n",
		"good.json": `{"good":"json"}`, "good.csv": "good,csv\n1,2\n", "lines.jsonl": `{"id":"good","text":"Good line."}`,
		"bad/encrypted.pdf": string(makePDF(pdfOptions{password: "secret"}, "Locked.")), "bad/truncated.docx": string(docx[:len(docx)*2/3]),
		"bad/bomb.docx": string(makeBomb(t, "word/document.xml", 32<<20, 0)), "bad/empty.txt": "", "bad/program": "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x3e\x00" + strings.Repeat("\x00\x01\xf3", 500),
	})
	large, err := os.Create(filepath.Join(dir, "bad", "large.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(large.Truncate(100<<20), large.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "bad", "link.txt")); err != nil {
		t.Fatal(err)
	}
	s := openFolder(t, dir)
	x := newExtractor(t, Limits{})
	var got []string
	for _, e := range list(t, s) {
		reason := e.Problem
		if reason == "" {
			_, _, err := x.Read(t.Context(), s, e.Ref)
			if bad := (*source.InputError)(nil); errors.As(err, &bad) {
				reason = bad.Reason
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if reason != "" {
			got = append(got, e.URI+": "+reason)
		} else if !strings.Contains(e.URI, "good") {
			t.Errorf("%s was read", e.URI)
		}
	}
	same(t, got, []string{
		"bad/bomb.docx: zip bomb: 34 MB in a file of 33 kB",
		"bad/empty.txt: empty document",
		"bad/encrypted.pdf: encrypted PDF: it opens only with a password",
		"bad/large.txt: too large: 105 MB, the limit is 64 MiB (--max-document-bytes)",
		"bad/link.txt: symbolic link leaves the source's folder (it is not followed)",
		"bad/program: unsupported type application/x-executable (binary)",
		"bad/truncated.docx: truncated DOCX: its end is missing",
	})
}

// hostileDocuments each try to take much memory or time.
func hostileDocuments(tb testing.TB) map[string][]byte {
	tb.Helper()
	const mb = 1 << 20 / hostileScale
	page := func(s string) []byte { return []byte("<html><body>" + s) }
	return map[string][]byte{
		"deep.html":     page(strings.Repeat("<div>", 2*mb)),
		"tags.html":     page(strings.Repeat("<b>x", 2*mb)),
		"nested.html":   page(strings.Repeat("<a><b><i><p>", 10_000)),
		"attrs.html":    page("<p " + strings.Repeat("a ", 10*mb) + ">"),
		"comment.html":  page("<!--" + strings.Repeat("<", 20*mb)),
		"tables.html":   page(strings.Repeat("<table><tr><td>", 15_000)),
		"huge.txt":      []byte(strings.Repeat("words and words\n", 4*mb-1)),
		"utf16.txt":     []byte("\xff\xfe" + strings.Repeat("\x31\x04", 25*mb)),
		"latin.txt":     []byte(strings.Repeat("gr\xfcn und bl\xe4u ", 2*mb)),
		"numbers.json":  []byte("[" + strings.Repeat("1,", 3*mb) + "1]"),
		"nested.json":   []byte(strings.Repeat(`{"a":`, 400) + strings.Repeat(`1`, 6*mb) + strings.Repeat("}", 400)),
		"wide.csv":      []byte(strings.Repeat("n,", 2*mb) + "\n" + strings.Repeat("1,", 2*mb)),
		"quote.csv":     []byte("a,b\n\"" + strings.Repeat("x,\n", 4*mb)),
		"bomb.docx":     makeBomb(tb, "word/document.xml", 30*mb, 0),
		"lying.docx":    makeBomb(tb, "word/document.xml", 30*mb, 4096),
		"text.docx":     makeDOCX(tb, strings.Repeat(wordParagraph("words of the document 12345 67890 abc"), 60_000), "", ""),
		"token.docx":    makeDOCX(tb, "<!--"+strings.Repeat("<", 20*mb)+"-->", "", ""),
		"token.epub":    makeEPUB(tb, "T", nil, "<p "+strings.Repeat("a ", 10*mb)+">"),
		"pages.pdf":     makePDF(pdfOptions{}, slices.Repeat([]string{"text"}, 6000)...),
		"kids.pdf":      []byte("%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[2 0 R 2 0 R]/Count 4000>>\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF"),
		"padded.pdf":    append(makePDF(pdfOptions{}, "text"), make([]byte, 20*mb)...),
		"parts.eml":     []byte("From: a@b\nSubject: s\nContent-Type: multipart/mixed; boundary=B\n\n" + strings.Repeat("--B\n\nx\n", 200_000)),
		"nested.eml":    []byte("From: a@b\nSubject: s\n" + nestedMultipart(2000)),
		"header.eml":    []byte("From: a@b\nSubject: " + strings.Repeat("x", 16*mb) + "\n\nbody"),
		"entities.html": page(strings.Repeat("&lt;", 4*mb)),
	}
}

func nestedMultipart(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	return b.String() + "\nx"
}

// Sixteen hostile documents at a time are read within a memory bound. They are written to files
// first, so that the test does not hold them in memory.
func TestHostileDocumentsStayWithinMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	dir := t.TempDir()
	for name, data := range hostileDocuments(t) {
		write(t, dir, map[string]string{name: string(data)})
	}
	debug.FreeOSMemory()
	s := openFolder(t, dir)
	x := newExtractor(t, Limits{Ratio: 5000})
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		var m runtime.MemStats
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	var wg sync.WaitGroup
	places := make(chan struct{}, 16)
	for _, e := range list(t, s) {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			began := time.Now()
			_, doc, err := x.Read(t.Context(), s, e.Ref)
			bad := (*source.InputError)(nil)
			if err != nil && !errors.As(err, &bad) {
				t.Errorf("%s: %v", e.URI, err)
			}
			what := "text"
			if bad != nil {
				what = bad.Reason
			} else if doc != nil {
				what = fmt.Sprintf("%d bytes of text", len(doc.Text))
			}
			t.Logf("%-14s %6.2fs %s", e.URI, time.Since(began).Seconds(), what)
		})
	}
	wg.Wait()
	close(stop)
	most := <-peak
	t.Logf("largest heap %d MiB", most>>20)
	if most > 400<<20 {
		t.Errorf("the heap reached %d MiB", most>>20)
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gistmill/gistmill/internal/extract"
	"github.com/gistmill/gistmill/internal/extractive"
	"github.com/gistmill/gistmill/internal/source"
)

// example is a text of another kind than papers, for judging by eye.
type example struct {
	name, source string
	words        int
	doc          *extract.Document
}

// loadExamples reads texts that every Go installation has, and one written for this purpose.
func loadExamples(ctx context.Context) (_ []example, err error) {
	x := extract.New(extract.Limits{})
	defer func() {
		if e := x.Close(); err == nil {
			err = e
		}
	}()
	opticks := opticksPath()
	pages := filepath.Join(output("go", "list", "-m", "-f", "{{.Dir}}", "codeberg.org/readeck/go-readability/v2"), "test-pages")
	out := []example{
		{name: "A book: Newton, Opticks", source: opticks, words: 150},
		{name: "A web page: an encyclopedia on Mozilla (Wikipedia, CC BY-SA)", source: filepath.Join(pages, "wikipedia", "source.html"), words: 100},
		{name: "A web page: an encyclopedia on New Zealand (Wikipedia, CC BY-SA)", source: filepath.Join(pages, "wikipedia-2", "source.html"), words: 100},
		{name: "A web page: a developers' blog (V8, CC BY 3.0)", source: filepath.Join(pages, "v8-blog", "source.html"), words: 100},
		{name: "A web page in German (heise online, quoted)", source: filepath.Join(pages, "heise", "source.html"), words: 50},
		{name: "An e-mail thread (written for gistmill)", source: "test/quality/testdata/mail-thread.txt", words: 80},
	}
	for i := range out {
		data, err := os.ReadFile(out[i].source)
		if err != nil {
			return nil, fmt.Errorf("read example: %w", err)
		}
		if strings.HasSuffix(out[i].source, "mail-thread.txt") {
			p, err := parseSample(out[i].source, string(data))
			if err != nil {
				return nil, err
			}
			out[i].doc = &extract.Document{Title: p.Title, Text: p.Text}
			continue
		}
		if out[i].doc, err = x.Extract(ctx, &source.Raw{Name: filepath.Base(out[i].source), Data: data}); err != nil {
			return nil, fmt.Errorf("extract %s: %w", out[i].name, err)
		}
	}
	return out, nil
}

func opticksPath() string {
	return filepath.Join(output("go", "env", "GOROOT"), "src", "testdata", "Isaac.Newton-Opticks.txt")
}

// parseSample reads a file of testdata: title, summary by a person, text.
func parseSample(name, data string) (paper, error) {
	parts := strings.SplitN(data, "\n===\n", 3)
	if len(parts) != 3 {
		return paper{}, fmt.Errorf("%s: want title, summary and text between lines of ===", name)
	}
	return paper{ID: filepath.Base(name), Title: parts[0], Summary: parts[1], Text: parts[2]}, nil
}

// long summarizes a text of the maximum size of a document.
func long(ctx context.Context, words int) (string, error) {
	const size = 64 << 20
	book, err := os.ReadFile(opticksPath())
	if err != nil {
		return "", fmt.Errorf("read long text: %w", err)
	}
	var b strings.Builder
	b.Grow(size)
	for b.Len() < size {
		b.Write(book[:min(len(book), size-b.Len())])
	}
	text := b.String()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	if _, err := extractive.Summarize(ctx, "", text, words); err != nil {
		return "", fmt.Errorf("summarize long text: %w", err)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return fmt.Sprintf("Opticks repeated to 64 MiB: %v, %d MiB obtained from the system beside the text.",
		took.Round(100*time.Millisecond), (after.Sys-before.Sys)>>20), nil
}

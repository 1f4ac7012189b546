package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The files written match the expectation: each document has its name, copies and refused ones
// included.
func TestDocuments(t *testing.T) {
	t.Parallel()
	const batches, size = 13, 50
	const documents = batches * size
	folder := t.TempDir()
	for batch := range batches {
		if err := writeBatch(folder, batch, size); err != nil {
			t.Fatal(err)
		}
	}
	texts := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if !strings.HasSuffix(name, ".jsonl") {
			b, err := os.ReadFile(path)
			texts[name] = string(b)
			return err
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var line struct{ ID, Text string }
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				return err
			}
			texts[name+"#"+line.ID] = line.Text
		}
		return lines.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	want := expect(batches, size)
	if len(texts) != documents || want.done+want.dead != documents || want.dead != 6 {
		t.Errorf("%d documents are written, %d and %d expected", len(texts), want.done, want.dead)
	}
	contents := map[string]bool{}
	for name, text := range texts {
		contents[text] = true
		if want.uris[name] == strings.Contains(text, "FAKELLM-REFUSE") {
			t.Errorf("%s: %.20q", name, text)
		}
	}
	copies, far := 0, 0
	for n := range documents {
		if d := documentOf(n); d.content != n {
			copies++
			if d.content < n-farCopyDistance {
				far++
			}
			if texts[d.uri(size)] != texts[documentOf(d.content).uri(size)] {
				t.Errorf("%d is not a copy of %d", n, d.content)
			}
		}
	}
	if len(contents) != want.contents || len(contents) != documents-copies || copies < documents/copyEvery-1 || far == 0 {
		t.Errorf("%s", fmt.Sprint(len(contents), " contents, ", want.contents, " expected, ", copies, " copies, ", far, " of earlier batches"))
	}
}

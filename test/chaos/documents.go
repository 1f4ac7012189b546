package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Documents arrive in batches of equal size, so that there is work until the end: each batch is
// one .jsonl file and some plain files. One document in twenty copies an earlier one, one in a
// hundred is refused by the model.
const (
	plainFiles      = 10 // in a batch
	copyEvery       = 20
	farCopyDistance = 100 // distance to a document of an earlier batch
	refusedEvery    = 100
)

// document is the nth document.
type document struct {
	n       int
	content int // its number; for a copy that of the original
	refused bool
}

func documentOf(n int) document {
	d := document{n: n, content: n, refused: n%refusedEvery == refusedEvery/2}
	if n%copyEvery == copyEvery-1 {
		d.content = n - copyEvery + 3 // itself never a copy
		if earlier := d.content - farCopyDistance; n%(2*copyEvery) == copyEvery-1 && earlier > 0 {
			d.content = earlier
		}
	}
	return d
}

func (d document) text() string {
	mark := ""
	if d.refused {
		mark = "FAKELLM-REFUSE "
	}
	return fmt.Sprintf(`%[1]sRegister of the harbour office, entry %[2]d

Vessel %[2]d made fast at berth %[3]d with %[4]d crates of tiles for the new warehouse. The surveyor found %[5]d of them broken and wrote
that the crane at the western quay was out of use again. The fee of entry %[2]d was paid in coin, and the receipt sent to the owner.
`, mark, d.content, d.content%37, d.content%210+12, d.content%9)
}

// uri returns the URI under which the document is listed.
func (d document) uri(batchSize int) string {
	batch := fmt.Sprintf("batch-%03d", d.n/batchSize)
	if d.n%batchSize < plainFiles {
		return fmt.Sprintf("%s/%05d.txt", batch, d.n)
	}
	return fmt.Sprintf("%s.jsonl#%d", batch, d.n)
}

// writeBatch writes a batch into a folder. A file appears only when it is complete.
func writeBatch(folder string, batch, size int) error {
	files := map[string][]byte{}
	for n := batch * size; n < (batch+1)*size; n++ {
		d := documentOf(n)
		name, id, isLine := strings.Cut(d.uri(size), "#")
		if !isLine {
			files[name] = []byte(d.text())
			continue
		}
		line, err := json.Marshal(map[string]string{"id": id, "text": d.text()})
		if err != nil {
			return err
		}
		files[name] = append(append(files[name], line...), '\n')
	}
	for name, content := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		hidden := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
		if err := os.WriteFile(hidden, content, 0o600); err != nil {
			return err
		}
		if err := os.Rename(hidden, path); err != nil {
			return err
		}
	}
	return nil
}

// expected is the result of the first batches.
type expected struct {
	done, dead, contents int
	uris                 map[string]bool // of the documents that are done
}

func expect(batches, size int) expected {
	e := expected{uris: map[string]bool{}}
	contents := map[string]bool{}
	for n := range batches * size {
		d := documentOf(n)
		contents[d.text()] = true
		if d.refused {
			e.dead++
			continue
		}
		e.done++
		e.uris[d.uri(size)] = true
	}
	e.contents = len(contents)
	return e
}

//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// note returns a short document, a different one for each number.
func note(n int) string {
	return fmt.Sprintf(`Log of the lock-keeper, page %[1]d

Barge %[1]d passed the lower gate at %[2]d minutes past nine with a load of %[3]d tons of gravel for the new embankment. The
water lay %[4]d centimetres above the mark. The keeper noted that the left paddle still leaks, and that the repair which
was promised for spring has not been begun. Page %[1]d was copied to the office of the canal company the same evening.
`, n, n%60, n%90+20, n%170)
}

// write writes a file into the site's folder.
func (s *site) write(name string, content []byte) {
	s.t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// notes writes the first n notes into the folder docs, one file each.
func (s *site) notes(count int) {
	s.t.Helper()
	for n := range count {
		s.write(fmt.Sprintf("docs/%02d/note-%05d.txt", n%10, n), []byte(note(n)))
	}
}

// lines returns the notes first to last-1 as JSON lines.
func lines(first, last int) []byte {
	var b bytes.Buffer
	for n := first; n < last; n++ {
		b.Write(line(strconv.Itoa(n), note(n)))
	}
	return b.Bytes()
}

func line(id, text string) []byte {
	b, err := json.Marshal(map[string]string{"id": id, "text": text})
	if err != nil {
		panic(err) // strings always encode
	}
	return append(b, '\n')
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// documents writes a .jsonl file of n documents with texts of least to most bytes, always the
// same ones.
func (s *site) documents(n, least, most int) (name string, err error) {
	name = filepath.Join(s.dir, "documents.jsonl")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		line, err := json.Marshal(map[string]string{"id": fmt.Sprintf("letter-%06d", i), "text": letter(random, i, least+random.IntN(most-least+1))})
		if err != nil {
			return "", err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return "", err
		}
	}
	return name, w.Flush()
}

// words of a letter: plain English, so that a tokenizer counts as in prose.
const words = `the of and to in a is that it was for on with as his they at be this from have or by one had not but what all were when we
there can an your which their said if do will each about how up out them then she many some so these would other into has more her two
like him see time could no make than first been its who now people my made over did down only way find use may water long little very after
harbour letter weather captain village morning winter garden company journey market kitchen window railway printer season committee
account measure evening paper country answer question number service history province library teacher surveyor`

// letter returns a text of about the given number of bytes with a unique beginning.
func letter(random *rand.Rand, n, bytes int) string {
	list := strings.Fields(words)
	var t strings.Builder
	fmt.Fprintf(&t, "This is letter number %d of the collection, and it was copied by hand.", n)
	for t.Len() < bytes {
		sentence := 8 + random.IntN(12)
		for i := range sentence {
			word := list[random.IntN(len(list))]
			if i == 0 {
				word = strings.ToUpper(word[:1]) + word[1:]
			}
			t.WriteString(" " + word)
		}
		t.WriteByte('.')
		if random.IntN(6) == 0 {
			t.WriteByte('\n')
		}
	}
	return t.String()
}

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand" //nolint:depguard // the weights were found on the half that it draws
	"os"
	"unicode"
)

// paper is a line of the set: a document and the summary that a person wrote.
type paper struct{ ID, Title, Text, Summary string }

func readPapers(path string) ([]paper, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read papers: %w", err)
	}
	defer f.Close()
	var out []paper
	for d := json.NewDecoder(bufio.NewReader(f)); ; {
		var p paper
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("read papers %s: %w", path, err)
		}
		out = append(out, p)
	}
}

// halves divides the set by a fixed seed. The engine's weights were tuned on the first half
// only, so the second half measures them on unseen papers.
func halves(all []paper) (tuned, unseen []paper) {
	for i, k := range rand.New(rand.NewSource(1)).Perm(len(all)) {
		if i%2 == 0 {
			tuned = append(tuned, all[k])
		} else {
			unseen = append(unseen, all[k])
		}
	}
	return tuned, unseen
}

func notWord(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

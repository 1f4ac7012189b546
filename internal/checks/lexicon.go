package checks

import (
	_ "embed" // for the lists
	"math/bits"
	"strconv"
	"strings"
	"sync"
)

// lists are the words that the checks know, by language where it matters. They were written for
// this package.
//
//go:embed words.txt
var lists string

// meaning is what a word can mean.
type meaning struct {
	month                       int8   // 1 to 12
	unsure                      bool   // a month only with a day or a year: "may", "mar"
	weekday                     int8   // 1 is Monday
	number                      int    // 0 is none
	scale                       int    // a power of ten
	languages                   uint64 // bit i: it is a function word of lex.languages[i]
	percent, join, hedge, title bool
}

// lex is the parsed lists.
type lex struct {
	table     hashTable // hash of a word to index of its meaning
	meanings  []meaning // the first one is empty
	languages []string
}

// of returns the meaning of a word by its hash.
func (l *lex) of(hash uint64) *meaning {
	if i := l.table.get(hash); i >= 0 {
		return &l.meanings[l.table.bits[i]]
	}
	return &l.meanings[0]
}

// lexicon parses the lists once. The result is not changed afterwards.
var lexicon = sync.OnceValue(func() *lex { //nolint:gochecknoglobals // read once, never changed
	l := &lex{table: newHashTable(strings.Count(lists, " ")), meanings: make([]meaning, 1)}
	for line := range strings.Lines(lists) {
		head, words, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		group, name, _ := strings.Cut(head, " ")
		value, _ := strconv.Atoi(name) // of a language it is none
		for w := range strings.FieldsSeq(words) {
			h := hashOf(w)
			if l.table.get(h) < 0 {
				*l.table.put(h) = uint32(len(l.meanings))
				l.meanings = append(l.meanings, meaning{})
			}
			l.of(h).learn(group, value, len(l.languages))
		}
		if group == "language" {
			l.languages = append(l.languages, name)
		}
	}
	return l
})

func (m *meaning) learn(group string, value, language int) {
	switch group {
	case "month":
		m.month = int8(value)
	case "unsure-month":
		m.month, m.unsure = int8(value), true
	case "weekday":
		m.weekday = int8(value)
	case "number":
		m.number = value
	case "scale":
		m.scale = value
	case "percent":
		m.percent = true
	case "join":
		m.join = true
	case "hedge":
		m.hedge = true
	case "title":
		m.title = true
	case "language":
		m.languages |= 1 << language
	}
}

// hashTable maps hashes of words to bits. It does not grow, and cannot hold the hash 0.
type hashTable struct {
	keys  []uint64
	bits  []uint32
	shift uint
}

func newHashTable(n int) hashTable {
	size := 1 << bits.Len(uint(4*n+4))
	return hashTable{keys: make([]uint64, size), bits: make([]uint32, size), shift: uint(64 - bits.TrailingZeros(uint(size)))}
}

// slot spreads the low bits of an FNV hash (Fibonacci hashing, Knuth 6.4).
func (t *hashTable) slot(h uint64) int { return int(h * 0x9e3779b97f4a7c15 >> t.shift) }

// put returns the place of h's bits and stores h.
func (t *hashTable) put(h uint64) *uint32 {
	i := t.slot(h)
	for t.keys[i] != 0 && t.keys[i] != h {
		i = (i + 1) & (len(t.keys) - 1)
	}
	t.keys[i] = h
	return &t.bits[i]
}

// get returns the index of h, or -1.
func (t *hashTable) get(h uint64) int {
	for i := t.slot(h); ; i = (i + 1) & (len(t.keys) - 1) {
		switch t.keys[i] {
		case h:
			return i
		case 0:
			return -1
		}
	}
}

package checks

// vocabulary is the words of a summary with their places in the document. Words are equal if they
// begin with the same seven letters. In scripts without spaces between words, each pair of
// neighbouring characters is a word.
type vocabulary struct {
	table hashTable // stem to index of words
	words []vocabularyWord
	parts int
}

type vocabularyWord struct {
	parts uint32 // bit p: part p of the document has it
	names []int  // names' words with this stem
}

// vocabularyMost bounds the words of a summary that are checked.
const vocabularyMost = 20_000

func newVocabulary(strings []string, names *names, parts int) *vocabulary {
	n := 0
	for _, s := range strings {
		n += len(s)/3 + 1
	}
	// A word and the separator after it have at least two bytes, and mostly six.
	v := &vocabulary{table: newHashTable(min(n/2, vocabularyMost)), words: make([]vocabularyWord, 0, min(n/2, vocabularyMost)), parts: parts}
	for _, s := range strings {
		v.each(s, func(_ *token, stem uint64) {
			if len(v.words) < vocabularyMost {
				v.word(stem)
			}
		})
	}
	for i, w := range names.words {
		if len(v.words) < vocabularyMost || v.table.get(w.stem) >= 0 {
			x := v.word(w.stem)
			x.names = append(x.names, i)
		}
	}
	return v
}

// word returns a word, and adds it if it is new.
func (v *vocabulary) word(stem uint64) *vocabularyWord {
	if i := v.table.get(stem); i >= 0 {
		return &v.words[v.table.bits[i]]
	}
	*v.table.put(stem) = uint32(len(v.words))
	v.words = append(v.words, vocabularyWord{})
	return &v.words[len(v.words)-1]
}

// each yields the words of a text with their stems.
func (v *vocabulary) each(text string, yield func(*token, uint64)) {
	scan := scanner{text: text}
	var t token
	var before uint64
	end := -1
	for scan.next(&t) {
		switch t.kind {
		case word:
			yield(&t, t.stem)
		case wide:
			if t.start == end {
				yield(&t, mix(before, rune(t.hash)))
			}
			before, end = t.hash, t.end
		}
	}
}

// find records which parts of text have which words, and the names among them. With 0 parts it
// records the names alone.
func (v *vocabulary) find(text string, parts int, names *names) {
	per := len(text)/max(parts, 1) + 1
	part, limit := uint32(min(parts, 1)), per
	n := 0
	v.each(text, func(t *token, stem uint64) {
		for t.start >= limit {
			part <<= 1
			limit += per
		}
		n++
		i := v.table.get(stem)
		if i < 0 {
			return
		}
		w := &v.words[v.table.bits[i]]
		w.parts |= part
		kept := w.names[:0]
		for _, k := range w.names {
			if !names.record(k, t, n) {
				kept = append(kept, k)
			}
		}
		w.names = kept
	})
}

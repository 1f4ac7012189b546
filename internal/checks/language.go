package checks

import (
	"math/bits"
	"unicode/utf8"
)

// Scripts that tell a language, or a group of them, by themselves.
const (
	latin = iota
	cyrillic
	greek
	hebrew
	arabic
	han
	kana
	hangul
	thai
	indic
	scripts
)

// speech is what of a text tells its language.
type speech struct {
	letters [scripts]int
	total   int
	words   int
	counted int     // words as people count them, of all of the text
	hits    [32]int // function words by language, as in lexicon
}

const (
	// A text is listened to at so many places, so many bytes each.
	speechPlaces = 16
	speechBytes  = 2048
	// With fewer letters or words a text does not say its language.
	speechLetters = 60
	speechWords   = 12
	// Share of the letters that makes a script the text's.
	scriptShare = 0.7
	// Share of function words among the words: prose has 30 to 50 %, lists and tables of names few.
	functionShare = 0.18
	// How many times as many function words of its own as of the other's language each text must have. Related languages
	// share so many words that they are never told apart by this; that is wanted.
	apart = 2
)

// listen takes note of text, or of parts of a long one.
func listen(text string) speech {
	var s speech
	if len(text) <= speechPlaces*speechBytes {
		s.hear(text)
		return s
	}
	step := len(text) / speechPlaces
	for i := range speechPlaces {
		s.hear(text[i*step : i*step+speechBytes])
	}
	s.counted = int(float64(s.counted) * float64(len(text)) / (speechPlaces * speechBytes))
	return s
}

func (s *speech) hear(text string) {
	l := lexicon()
	scan := scanner{text: text}
	var t token
	var c wordCount
	for scan.next(&t) {
		c.add(text, &t)
		if t.kind == digits {
			continue
		}
		script := scriptAt(text[t.start:t.end])
		if script < 0 {
			continue
		}
		s.letters[script] += t.runes
		s.total += t.runes
		if t.kind != word {
			continue
		}
		s.words++
		for mask := l.of(t.hash).languages; mask != 0; mask &= mask - 1 {
			s.hits[bits.TrailingZeros32(mask)]++
		}
	}
	s.counted += c.words()
}

// scriptAt is the script of the first letter of a word; -1 is one that says nothing.
func scriptAt(w string) int {
	switch r, _ := utf8.DecodeRuneInString(w); {
	case r < 0x250:
		return latin
	case r >= 0x370 && r < 0x400:
		return greek
	case r >= 0x400 && r < 0x530:
		return cyrillic
	case r >= 0x590 && r < 0x600:
		return hebrew
	case r >= 0x600 && r < 0x780:
		return arabic
	case r >= 0x900 && r < 0xe00:
		return indic
	case r >= 0xe00 && r < 0xe80:
		return thai
	case r >= 0x3041 && r <= 0x30ff:
		return kana
	case r >= 0xac00 && r <= 0xd7a3:
		return hangul
	case r >= 0x3400 && r <= 0x9fff, r >= 0x20000 && r <= 0x3ffff:
		return han
	}
	return -1
}

// tongue is a language by its code, or the script alone where that has no list of words. Empty is not known.
func (s *speech) tongue() string {
	if s.total < speechLetters && s.letters[han]+s.letters[kana]+s.letters[hangul] < speechLetters/3 {
		return ""
	}
	east := s.letters[han] + s.letters[kana]
	switch {
	case s.share(east):
		switch {
		case s.letters[kana]*8 >= east:
			return "ja"
		case s.letters[kana]*50 < east:
			return "zh"
		}
		return ""
	case s.share(s.letters[hangul]):
		return "ko"
	case s.share(s.letters[arabic]):
		return "ar"
	case s.share(s.letters[greek]):
		return "el"
	case s.share(s.letters[hebrew]):
		return "he"
	case s.share(s.letters[thai]):
		return "th"
	case s.share(s.letters[indic]):
		return "indic"
	case s.share(s.letters[latin]), s.share(s.letters[cyrillic]):
		if best := s.best(); s.words >= speechWords && float64(s.hits[best]) >= functionShare*float64(s.words) {
			return lexicon().languages[best]
		}
	}
	return ""
}

func (s *speech) share(n int) bool { return float64(n) >= scriptShare*float64(s.total) }

func (s *speech) best() int {
	best := 0
	for i := range lexicon().languages {
		if s.hits[i] > s.hits[best] {
			best = i
		}
	}
	return best
}

// differ compares the languages of two texts; both are empty where that is not sure.
func differ(source, summary *speech) (from, to string) {
	from, to = source.tongue(), summary.tongue()
	if from == "" || to == "" || from == to {
		return "", ""
	}
	if source.wordy() && summary.wordy() {
		f, t := source.best(), summary.best()
		if source.hits[f] < apart*source.hits[t] || summary.hits[t] < apart*summary.hits[f] {
			return "", ""
		}
	}
	return from, to
}

// wordy says whether it is words that tell the language, and not the script.
func (s *speech) wordy() bool { return s.share(s.letters[latin]) || s.share(s.letters[cyrillic]) }

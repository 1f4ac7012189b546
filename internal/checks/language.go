package checks

import (
	"math/bits"
	"unicode/utf8"
)

// Scripts. Some determine a language, others a group of languages.
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

// languageStats are the properties of a text that determine its language.
type languageStats struct {
	letters [scripts]int
	total   int
	words   int
	counted int     // words as people count them, of the whole text
	hits    [64]int // function words by language, as in lexicon
}

const (
	// A long text is sampled at this number of places, with this many bytes each.
	samplePlaces = 16
	sampleBytes  = 2048
	// With fewer letters or words the language of a text is not known.
	leastLetters = 60
	leastWords   = 12
	// The share of the letters from which on a script is that of the text.
	scriptShare = 0.7
	// The least share of function words. Prose has 30 to 50 %, lists and tables of names few.
	functionShare = 0.18
	// Each text must have this many times as many function words of its own language as of the
	// other's. Related languages share too many words for that, so they are never found to
	// differ, as intended.
	distinctRatio = 2
)

// detectLanguage collects the statistics of text, or of samples of a long one.
func detectLanguage(text string) languageStats {
	var s languageStats
	if len(text) <= samplePlaces*sampleBytes {
		s.sample(text)
		return s
	}
	step := len(text) / samplePlaces
	for i := range samplePlaces {
		s.sample(text[i*step : i*step+sampleBytes])
	}
	s.counted = int(float64(s.counted) * float64(len(text)) / (samplePlaces * sampleBytes))
	return s
}

func (s *languageStats) sample(text string) {
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
			s.hits[bits.TrailingZeros64(mask)]++
		}
	}
	s.counted += c.words()
}

// scriptAt returns the script of the first letter of a word, or -1 for other scripts.
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

// language returns the code of the language, or of the script if there is no list of words for
// it. Empty means not known.
func (s *languageStats) language() string {
	if s.total < leastLetters && s.letters[han]+s.letters[kana]+s.letters[hangul] < leastLetters/3 {
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
		if best := s.best(); s.words >= leastWords && float64(s.hits[best]) >= functionShare*float64(s.words) {
			return lexicon().languages[best]
		}
	}
	return ""
}

func (s *languageStats) share(n int) bool { return float64(n) >= scriptShare*float64(s.total) }

func (s *languageStats) best() int {
	best := 0
	for i := range lexicon().languages {
		if s.hits[i] > s.hits[best] {
			best = i
		}
	}
	return best
}

// differ returns the languages of two texts if they certainly differ, else empty strings.
func differ(source, summary *languageStats) (from, to string) {
	from, to = source.language(), summary.language()
	if from == "" || to == "" || from == to {
		return "", ""
	}
	if source.wordy() && summary.wordy() {
		f, t := source.best(), summary.best()
		if source.hits[f] < distinctRatio*source.hits[t] || summary.hits[t] < distinctRatio*summary.hits[f] {
			return "", ""
		}
	}
	return from, to
}

// wordy reports whether words determine the language, and not the script.
func (s *languageStats) wordy() bool {
	return s.share(s.letters[latin]) || s.share(s.letters[cyrillic])
}

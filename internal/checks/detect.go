package checks

import (
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

const (
	// A text with fewer words, or fewer different function words, has no language that is certain.
	leastNamedWords, leastNamedKinds = 20, 5
	// The least share of function words among the words. Languages with many endings have few.
	namedShare = 0.15
	// A text must have this many times as many words of its language that another language does
	// not have, as the other way round. In a text of two languages neither reaches that.
	namedRatio = 4
	// The share of the letters that are of the text's script.
	namedScriptShare = 0.75
	// The least letters of a script that determines the language.
	leastNamedLetters = 40
	// A character of Han or Kana counts as this many letters, because it says more than one.
	wideLetters = 2
)

// onlyLanguage has the scripts that determine a language.
var onlyLanguage = map[string]string{ //nolint:gochecknoglobals // a constant table
	"Hangul": "ko", "Greek": "el", "Thai": "th", "Lao": "lo", "Khmer": "km", "Myanmar": "my", "Georgian": "ka", "Armenian": "hy",
	"Tamil": "ta", "Telugu": "te", "Kannada": "kn", "Malayalam": "ml", "Gujarati": "gu", "Gurmukhi": "pa", "Sinhala": "si", "Oriya": "or",
	"Han": "zh", "Kana": "ja",
}

// neighbours are languages whose lists of words are there so that a text in them is not taken
// for a related language. They get no code: the words do not tell Croatian from Bosnian and
// Serbian, and Latin is mostly filler text.
var neighbours = []string{"sh", "la"} //nolint:gochecknoglobals // a constant table

// DetectLanguage returns the language of a text as a BCP 47 tag: by its script, or by function
// words where a script has several languages. It reads at most 32 KiB, spread over the text. A
// text that is short, is in several languages, or could be in a related language has none: the
// result is empty rather than wrong. It is safe for concurrent use.
func DetectLanguage(text string) string {
	var s wordStats
	s.found, s.letters = map[uint64]int{}, map[string]int{}
	if len(text) <= samplePlaces*sampleBytes {
		s.sample(text)
	} else {
		step := len(text) / samplePlaces
		for i := range samplePlaces {
			s.sample(text[i*step : i*step+sampleBytes])
		}
	}
	return s.name()
}

// wordStats are the properties of a text that determine its language.
type wordStats struct {
	letters             map[string]int // by script
	total               int            // letters
	words               int
	found               map[uint64]int // function words by their hash
	simple, traditional int            // Han that is only simplified, or traditional
}

func (s *wordStats) sample(text string) {
	l := lexicon()
	scan := scanner{text: text}
	var t token
	for scan.next(&t) {
		if t.kind == digits {
			continue
		}
		r, _ := utf8.DecodeRuneInString(text[t.start:])
		script := scriptOf(r)
		n := t.runes
		if script == "Han" || script == "Kana" {
			n *= wideLetters
		}
		s.letters[script] += n
		s.total += n
		switch {
		case script == "Han":
			if strings.ContainsRune(onlySimplified, r) {
				s.simple++
			} else if strings.ContainsRune(onlyTraditional, r) {
				s.traditional++
			}
		case t.kind == word:
			s.words++
			if l.of(t.hash).languages != 0 {
				s.found[t.hash]++
			}
		}
	}
}

// Characters that are frequent in Chinese and differ between the two ways to write it.
const (
	onlySimplified  = "这们国说时会来个为学对后过还没进动发关问见开实现应让给从间经长门东车书马员产业务报导"
	onlyTraditional = "這們國說時會來個為學對後過還沒進動發關問見開實現應讓給從間經長門東車書馬員產業務報導"
)

// scriptOf returns the name of a letter's script; Hiragana and Katakana are Kana.
func scriptOf(r rune) string {
	switch {
	case r < 0x250, r >= 0x1e00 && r < 0x1f00:
		return "Latin"
	case r == 'ー', unicode.In(r, unicode.Hiragana, unicode.Katakana):
		return "Kana"
	}
	for _, name := range []string{"Cyrillic", "Han", "Arabic", "Hangul", "Hebrew", "Devanagari"} {
		if unicode.Is(unicode.Scripts[name], r) {
			return name
		}
	}
	for name := range onlyLanguage {
		if table := unicode.Scripts[name]; table != nil && unicode.Is(table, r) {
			return name
		}
	}
	return "other"
}

func (s *wordStats) name() string {
	// Japanese is Kana and Han.
	if east := s.letters["Han"] + s.letters["Kana"]; s.letters["Kana"]*8 >= east && s.isMost(east) {
		return s.known("Kana", east)
	} else if s.letters["Kana"]*50 >= east && s.isMost(east) {
		return ""
	}
	for script, n := range s.letters {
		if s.isMost(n) {
			if onlyLanguage[script] != "" {
				return s.known(script, n)
			}
			return s.byWords()
		}
	}
	return ""
}

func (s *wordStats) isMost(n int) bool {
	return n > 0 && float64(n) >= namedScriptShare*float64(s.total)
}

func (s *wordStats) known(script string, letters int) string {
	switch {
	case letters < leastNamedLetters:
		return ""
	case script == "Han" && s.simple >= 3 && s.simple >= 9*s.traditional:
		return "zh-Hans"
	case script == "Han" && s.traditional >= 3 && s.traditional >= 9*s.simple:
		return "zh-Hant"
	}
	return onlyLanguage[script]
}

// byWords returns the language of most function words, if no other language comes near it.
func (s *wordStats) byWords() string {
	languages := lexicon().languages
	hits, kinds := make([]int, len(languages)), make([]int, len(languages))
	for hash, n := range s.found {
		for mask := lexicon().of(hash).languages; mask != 0; mask &= mask - 1 {
			i := bits.TrailingZeros64(mask)
			hits[i] += n
			kinds[i]++
		}
	}
	best := 0
	for i := range hits {
		if hits[i] > hits[best] {
			best = i
		}
	}
	if s.words < leastNamedWords || kinds[best] < leastNamedKinds || float64(hits[best]) < namedShare*float64(s.words) ||
		slices.Contains(neighbours, languages[best]) {
		return ""
	}
	for i := range languages {
		if i == best {
			continue
		}
		own, other := s.exclusive(best, i), s.exclusive(i, best)
		if own < max(2, namedRatio*other) {
			return ""
		}
	}
	return languages[best]
}

// exclusive counts the function words of one language that another does not have.
func (s *wordStats) exclusive(of, without int) int {
	n := 0
	for hash, hits := range s.found {
		if mask := lexicon().of(hash).languages; mask>>of&1 == 1 && mask>>without&1 == 0 {
			n += hits
		}
	}
	return n
}

// mayBe reports whether a text that is detected as one language may be in the one that was asked
// for. Both are BCP 47 tags. A language that is never detected may be taken for any other one of
// its script.
func mayBe(detected, asked string) bool {
	is, wanted := macro(detected), macro(asked)
	isBase, isScript, _ := is.Raw()
	wantedBase, _, _ := wanted.Raw()
	script, _ := wanted.Script()
	switch {
	case isBase == wantedBase: // of Chinese the script counts, if it was asked for
		return isScript.String() == "Zzzz" || wanted == language.Make(wantedBase.String()) || isScript == script
	case isDetected(wantedBase.String()):
		return false
	}
	of, _ := is.Script()
	return of == script
}

// macro parses a tag. Languages that detection does not tell apart become one: Bokmål and Nynorsk,
// Mandarin and Cantonese.
func macro(tag string) language.Tag {
	t, err := language.Macro.Parse(tag)
	if err != nil {
		return language.Und
	}
	switch base, _ := t.Base(); base.String() {
	case "hr", "bs":
		return language.Make("sh")
	case "nn":
		return language.Make("no")
	}
	return t
}

func isDetected(base string) bool {
	if slices.Contains(lexicon().languages, base) && !slices.Contains(neighbours, base) {
		return true
	}
	for _, code := range onlyLanguage {
		if code == base {
			return true
		}
	}
	return false
}

package text

import (
	"unicode"

	unicodewords "github.com/clipperhouse/uax29/v2/words"
)

// CountWords returns the number of words of s, but not more than limit: it reads only as much of
// a long text as it needs. A word is a segment of Unicode's default word boundaries (UAX #29) that
// has a letter or a digit, so that "don't" and "3.14" are one word each. In Han, Kana, Thai, Lao,
// Khmer and Burmese, which UAX #29 cannot divide without a dictionary, two letters are a word.
func CountWords(s string, limit int) int {
	count, unspaced := 0, 0
	for segments := unicodewords.FromString(s); segments.Next(); {
		if n := count + (unspaced+1)/2; n >= limit {
			return limit
		}
		letters, wide := 0, false
		for _, r := range segments.Value() {
			if isWordRune(r) {
				letters++
				wide = wide || isUnspaced(r)
			}
		}
		switch {
		case wide:
			unspaced += letters
		case letters > 0:
			count++
		}
	}
	return min(count+(unspaced+1)/2, limit)
}

// isWordRune reports letters and numbers. The blank letters of Hangul are none.
func isWordRune(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsNumber(r)) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// isUnspaced reports letters of scripts that are written without spaces between words. The marks
// that lengthen a vowel of Kana are of the script Common.
func isUnspaced(r rune) bool {
	switch {
	case r < 0x0e00:
		return false
	case r == 'ー', r == 'ｰ', r == '〇':
		return true
	}
	return unicode.IsLetter(r) && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

package text

import (
	"strings"
	"unicode"
)

// ShellWord returns s as one word for a POSIX shell. It quotes a word that has other characters
// than letters, digits and _-./:,=@%+.
func ShellWord(s string) string {
	special := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-./:,=@%+", r)
	}
	if s != "" && !strings.ContainsFunc(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

package text

import (
	"strings"
	"unicode/utf8"
)

// OneLine returns s on one line: each run of Unicode white space becomes one space, and none is
// left at the ends.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Cut returns the longest prefix of s that has at most n bytes and splits no character.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// CutRunes returns s with at most n characters (runes); n is at least 1. If it removes any, the
// last one is "…".
func CutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

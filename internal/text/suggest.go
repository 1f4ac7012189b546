package text

import (
	"fmt"
	"strconv"
	"strings"
)

// DidYouMean returns "; did you mean X?" with the nearest of the names, or "" if none is near.
// Capitals, and hyphens for underscores, do not count as misspelled.
func DidYouMean(wrong string, names []string) string {
	best, least := "", len(wrong)/3+1
	for _, name := range names {
		if d := distance(folded(wrong), folded(name)); d < least {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// NotOneOf is the sentence about a value that is none of those allowed, with a suggestion. It
// quotes at most 80 characters of the value.
func NotOneOf(value string, allowed ...string) string {
	const most = 80
	return fmt.Sprintf("%s is not one of %s%s", strconv.Quote(CutRunes(value, most)), strings.Join(allowed, ", "), DidYouMean(value, allowed))
}

func folded(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance returns the Damerau-Levenshtein distance in its form of optimal string alignment: the
// minimum number of bytes to insert, delete, replace or swap with their neighbor to turn a into b.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			replace := row[j]
			if a[i] != b[j] {
				replace++
			}
			next[j+1] = min(replace, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

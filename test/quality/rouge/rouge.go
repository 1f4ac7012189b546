// Package rouge scores a summary by its overlap with one that a person wrote.
//
// It owns ROUGE-1, ROUGE-2 and ROUGE-L as F1 (Lin, "ROUGE: A Package for Automatic Evaluation
// of Summaries", 2004). Words are runs of letters and digits in lower case, not stemmed, stop
// words kept. ROUGE-L takes the longest common subsequence of the two whole texts (sentence
// level), not the union over sentences. It does not make summaries or average over documents.
package rouge

import (
	"strings"
	"unicode"
)

// Score holds F1 values between 0 and 1.
type Score struct{ One, Two, L float64 }

// Of scores candidate against reference. A text without words scores 0.
func Of(candidate, reference string) Score {
	c, r := words(candidate), words(reference)
	return Score{One: grams(c, r, 1), Two: grams(c, r, 2), L: f1(subsequence(c, r), len(c), len(r))}
}

func words(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// grams counts the shared n-grams, each as often as the text with fewer of it has it.
func grams(c, r []string, n int) float64 {
	have := map[string]int{}
	for i := n; i <= len(r); i++ {
		have[strings.Join(r[i-n:i], " ")]++
	}
	shared := 0
	for i := n; i <= len(c); i++ {
		if g := strings.Join(c[i-n:i], " "); have[g] > 0 {
			have[g]--
			shared++
		}
	}
	return f1(shared, len(c)-n+1, len(r)-n+1)
}

// subsequence returns the length of the longest common subsequence.
func subsequence(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			up := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(up, row[j])
			}
			diagonal = up
		}
	}
	return row[len(b)]
}

func f1(shared, c, r int) float64 {
	if shared <= 0 {
		return 0
	}
	p, q := float64(shared)/float64(c), float64(shared)/float64(r)
	return 2 * p * q / (p + q)
}

package checks

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// The numbers below were found on papers with abstracts by people, beside their first words as summaries of themselves
// (test/quality/CHECKS.md).
const (
	// A document is cut into parts of about this many bytes, 16 at most. One that gives fewer than 4 is not looked at.
	partBytes  = 4096
	partsLeast = 4
	partsMost  = 16
	// A part is reflected when it has this much of what a part has on average.
	reflectedFrom = 0.35
	// Below this share of reflected parts there is a finding.
	coverageLeast = 2.0 / 3
	// A summary of fewer words says nothing about coverage.
	coverageWords = 15
)

// partsOf is how many parts a document of so many bytes has; 1 is not cut.
func partsOf(size int) int {
	n := size / partBytes
	if n < partsLeast {
		return 1
	}
	return min(n, partsMost)
}

// coverage finds the parts of the document that the summary does not reflect. A part has the words of the summary that
// stand in it, each with the square of its idf over the parts: a word of every part weighs nothing, and one of a single
// part most.
func (c *check) coverage(v *vocabulary) {
	if v.parts < partsLeast || len(v.words) < coverageWords {
		return
	}
	weights := make([]float64, v.parts)
	sum := 0.0
	for _, w := range v.words {
		n := bits.OnesCount32(w.parts)
		if n == 0 {
			continue
		}
		idf := math.Log(float64(v.parts) / float64(n))
		for p := range weights {
			if w.parts>>p&1 != 0 {
				weights[p] += idf * idf
				sum += idf * idf
			}
		}
	}
	var missed []string
	for p, x := range weights {
		if x == 0 || x < reflectedFrom*sum/float64(v.parts) {
			missed = append(missed, strconv.Itoa(p+1))
		}
	}
	if reflected := v.parts - len(missed); float64(reflected) < coverageLeast*float64(v.parts) {
		c.add(Coverage, strconv.Itoa((100*reflected+v.parts/2)/v.parts)+"%",
			"of %d equal parts of the document these are hardly reflected: %s", v.parts, strings.Join(missed, ", "))
	}
}

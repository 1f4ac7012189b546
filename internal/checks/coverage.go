package checks

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// The values below were tuned on papers with abstracts by people, against the first words of
// the same papers as summaries (test/quality/CHECKS.md).
const (
	// A document is cut into parts of about this many bytes, at most partsMost. A document with
	// fewer than partsLeast parts is not checked.
	partBytes  = 4096
	partsLeast = 4
	partsMost  = 16
	// A part is reflected if its weight is at least this share of the mean.
	reflectedFrom = 0.35
	// A smaller share of reflected parts is a finding.
	coverageLeast = 2.0 / 3
	// A summary with fewer different words is not checked.
	coverageWords = 15
)

// partsOf is the number of parts of a document of size bytes; 1 means that it is not cut.
func partsOf(size int) int {
	n := size / partBytes
	if n < partsLeast {
		return 1
	}
	return min(n, partsMost)
}

// coverage finds the parts of the document that the summary does not reflect. The weight of a
// part is the sum over the summary's words in it of the square of their idf over the parts: a
// word that is in every part weighs nothing, and a word of a single part weighs most.
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

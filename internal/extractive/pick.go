package extractive

import (
	"math"
	"slices"
)

const (
	backwardPenalty = 0.6 // "However, it …" without the sentence before
	enough          = 0.9 // of the words asked for
	most            = 1.1
	// The next sentence must score at least this share of the one before it. Otherwise the
	// summary stays shorter.
	filler = 0.4
	// A document of several rounds is a book. To spread the sentences over it, each sentence
	// already chosen from a region lowers the scores of the others there.
	regions, crowding = 8, 0.5
)

// pick chooses sentences greedily and returns them in document order. Each is discounted by its
// similarity to those chosen before (maximal marginal relevance, Carbonell and Goldstein 1998).
func pick(list []candidate, d *document, words int) string {
	if len(list) == 0 {
		return ""
	}
	g := newGraph(list, d.language)
	scores := d.scores(list, g, true)
	back := make([]bool, len(list))
	for i, c := range list {
		back[i] = c.at > 1 && d.backward(c.text)
	}
	var (
		chosen  []int
		taken   = make([]bool, len(list))
		total   int
		bottom  float64
		nearest = make([]float64, len(list)) // highest similarity to a chosen sentence
		crowd   [regions]int                 // chosen sentences of each region
	)
	for float64(total) < enough*float64(words) {
		best, value := -1, 0.0
		for i, c := range list {
			if taken[i] || total+c.words > int(most*float64(words)) {
				continue
			}
			v := scores[i]
			if back[i] && (i == 0 || list[i-1].at != c.at-1 || !slices.Contains(chosen, i-1)) {
				v *= backwardPenalty
			}
			v *= 1 - nearest[i]
			if d.total > partSize {
				v *= math.Pow(crowding, float64(crowd[d.region(c)]))
			}
			if v > value {
				best, value = i, v
			}
		}
		if best < 0 || value < filler*bottom && 2*total > words {
			break
		}
		taken[best] = true
		for _, e := range g.edges[best] {
			nearest[e.to] = max(nearest[e.to], e.value)
		}
		crowd[d.region(list[best])]++
		chosen = append(chosen, best)
		total += list[best].words
		bottom = value
	}
	if len(chosen) == 0 { // all are too long
		best := 0
		for i, c := range list {
			if scores[i]/float64(c.words) > scores[best]/float64(list[best].words) {
				best = i
			}
		}
		chosen = append(chosen, best)
	}
	slices.Sort(chosen)
	parts := make([]string, 0, len(chosen))
	for _, i := range chosen {
		parts = append(parts, list[i].text)
	}
	return join(parts)
}

// backward reports whether a sentence begins with a word that refers to another one.
func (d *document) backward(text string) bool {
	for w := range tokens(text) {
		return d.language.backward[w]
	}
	return false
}

// region is the eighth of the document that contains a sentence.
func (d *document) region(c candidate) int {
	return (d.before[c.section] + c.place) * regions / d.total
}

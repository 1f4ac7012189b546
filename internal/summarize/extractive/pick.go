package extractive

import "slices"

const (
	redundant       = 0.5 // cosine above which a sentence says what is there already
	backwardPenalty = 0.6 // "However, it …" without the sentence before
	enough          = 0.9 // of the words asked for
	most            = 1.1
	// A sentence that fills up what is left of the words scores at least this share of
	// the one before it; otherwise the summary stays shorter.
	filler = 0.4
)

// pick chooses sentences greedily and returns them in the document's order.
func pick(list []candidate, d *document, words int) string {
	if len(list) == 0 {
		return ""
	}
	g := newGraph(list, d.language)
	scores := d.scores(list, g, true)
	back := make([]bool, len(list))
	for i, c := range list {
		back[i] = !c.opens && d.backward(c.text)
	}
	var (
		chosen []int
		out    = make([]bool, len(list)) // chosen or ruled out
		total  int
		bottom float64
	)
	for float64(total) < enough*float64(words) {
		best, value := -1, 0.0
		for i, c := range list {
			if out[i] || total+c.words > int(most*float64(words)) {
				continue
			}
			v := scores[i]
			if back[i] && (i == 0 || list[i-1].at != c.at-1 || !slices.Contains(chosen, i-1)) {
				v *= backwardPenalty
			}
			if v > value {
				best, value = i, v
			}
		}
		if best < 0 || value < filler*bottom && 2*total > words {
			break
		}
		out[best] = true
		if slices.ContainsFunc(chosen, func(j int) bool { return g.similarity(best, j) > redundant }) {
			continue
		}
		chosen = append(chosen, best)
		total += list[best].words
		bottom = value
	}
	slices.Sort(chosen)
	parts := make([]string, 0, len(chosen))
	for _, i := range chosen {
		parts = append(parts, list[i].text)
	}
	return join(parts)
}

// backward reports whether a sentence opens with a word that refers to another one.
func (d *document) backward(text string) bool {
	for w := range tokens(text) {
		return d.language.backward[w]
	}
	return false
}

package extractive

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/gistmill/gistmill/internal/extractive/sentences"
)

// Sentences near a boundary of the document or of a section count more, as in HipoRank (Dong et
// al., EACL 2021). Words of the title are a cue of Edmundson (1969). The weights below were tuned
// on one half of 200 scientific papers and lie on a broad plateau. test/quality measures them on
// the other half (see its RESULTS.md).
const (
	zoneBoost      = 1.0 // added to 1 in the opening and the closing of the document
	edgeBoost      = 0.5 // added to 1 at the first and the last sentence of a section
	edgeWidth      = 3.0 // sentences after which the boost has fallen to 1/e
	leadBoost      = 2.0 // added to 1 at the first sentence of a document without headings
	titleBoost     = 1.0 // added to 1 for all of the title's words
	itemPenalty    = 0.7 // list items depend on their introduction
	quotePenalty   = 0.4 // quoted text is by someone else
	pointerPenalty = 0.5 // a summary does not show "Table 3"
	shortest       = 10  // words; a shorter sentence counts in proportion to its length
	longish        = 30  // words; a longer one counts in inverse proportion

	// The opening ends with the section that contains the point openingAt of the document, but
	// not after openingMost. The closing is found in the same way from the end. Sections of
	// fewer than realSection sentences after it are acknowledgements and notices.
	openingAt, openingMost = 0.05, 0.3
	closingAt, closingMost = 0.02, 0.2
	realSection            = 3
	afterPenalty           = 0.3
)

// scores rates the candidates: centrality times factors for place, words and length. The
// position in the document counts only in the last round, when the whole document is known.
func (d *document) scores(list []candidate, g *graph, last bool) []float64 {
	out := g.centrality()
	title := map[string]bool{}
	for w := range terms(d.title, d.language) {
		title[w] = true
	}
	var opening, closing, end int
	if last {
		opening, closing, end = d.zones()
	}
	// The opening of a book covers less of the whole.
	boost := zoneBoost * min(1, partSize/float64(max(1, d.total)))
	for i, c := range list {
		x := out[i]
		if last {
			switch at := d.before[c.section] + c.place; {
			case !d.headings: // news and mail: the first sentences count, and there is no conclusion
				x *= 1 + leadBoost*math.Exp(-float64(c.place)/edgeWidth)
			case at >= end:
				x *= afterPenalty
			case at < opening || at >= closing:
				x *= 1 + boost
			}
		}
		fromEnd := float64(d.sections[c.section] - 1 - c.place)
		x *= 1 + edgeBoost*(math.Exp(-float64(c.place)/edgeWidth)+math.Exp(-fromEnd/edgeWidth))
		x *= length(c.words) * d.words(c, title)
		switch c.kind {
		case sentences.Item:
			x *= itemPenalty
		case sentences.Quote:
			x *= quotePenalty
		case sentences.Prose, sentences.Heading, sentences.Table, sentences.Code:
		}
		out[i] = x
	}
	return out
}

// zones returns the end of the opening and the begin and end of the closing, counted in
// candidates.
func (d *document) zones() (opening, closing, end int) {
	n := d.total
	end = n
	k := len(d.sections) - 1
	for ; k > 0 && d.sections[k] < realSection; k-- {
		end -= d.sections[k]
	}
	at := 0
	for _, size := range d.sections {
		if at+size > int(openingAt*float64(n)) {
			opening = min(at+size, int(openingMost*float64(n)))
			break
		}
		at += size
	}
	closing = end
	for ; k >= 0; k-- {
		closing -= d.sections[k]
		if closing <= end-1-int(closingAt*float64(n)) {
			break
		}
	}
	return opening, max(closing, end-int(closingMost*float64(n))), end
}

// words weighs a sentence by the title's words in it and by references to figures.
func (d *document) words(c candidate, title map[string]bool) float64 {
	x := 1.0
	if len(title) > 0 {
		found := map[string]bool{}
		for w := range terms(c.text, d.language) {
			if title[w] {
				found[w] = true
			}
		}
		x += titleBoost * float64(len(found)) / float64(len(title))
	}
	pointer := false
	for w := range tokens(c.text) {
		if pointer && (unicode.IsDigit(first(w)) || len(w) == 1 || strings.Trim(w, "ivx") == "") {
			return x * pointerPenalty
		}
		pointer = d.language.pointers[w]
	}
	return x
}

func length(words int) float64 {
	return min(1, float64(words)/shortest) * min(1, longish/float64(words))
}

// ranking returns the indices of scores from the highest on. Equal scores keep their order.
func ranking(scores []float64) []int {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return order
}

package summarize

import (
	"github.com/gistmill/gistmill/internal/extractive/sentences"
)

// chunk is a part of a text. The parts from start to end, joined, are the text. Reading
// begins at overlap, at or before start.
type chunk struct {
	overlap, start, end int // byte offsets
	tokens              int // from overlap to end, as the sum of its pieces
}

// text is what the model reads.
func (c chunk) text(source string) string { return source[c.overlap:c.end] }

// The strength of a place as the beginning of a chunk.
const (
	breakHard      = 0 // within a sentence
	breakSentence  = 1
	breakParagraph = 2
	breakHeading   = 10 // minus the heading's level: 3 (recognized by its look) to 9
)

// atom is the smallest part that is moved between chunks.
type atom struct {
	start, end int
	tokens     int
	strength   int // of a break before it
}

const (
	atomBytes = 2048
	// Where a paragraph is cut, at most one part in overlapShare of the budget is read twice
	// (BooookScore, arXiv 2310.00785, uses 0 to 5 %). Between paragraphs there is no overlap.
	overlapShare = 20
	// A break is searched from this share of a chunk's target size on, in tenths. It bounds
	// what structure may cost in calls.
	earliest = 7
)

// split cuts text into chunks of at most budget tokens: at headings, else between
// paragraphs, else between sentences, else within lines and words. The chunks cover the
// text without a gap. They have nearly equal sizes, because a short last chunk would cost a
// whole set of notes. A budget below 16 counts as 16. Time is linear in the length of the
// text if count is linear in short strings.
func split(text string, budget int, count counter) []chunk {
	budget = max(budget, 16)
	atoms := atomize(text, budget, count)
	rest := 0
	for _, a := range atoms {
		rest += a.tokens
	}
	var out []chunk
	for first, overlap := 0, 0; first < len(atoms); {
		// overlap is the number of atoms before first that are read again.
		tokens := 0
		for _, a := range atoms[first-overlap : first] {
			tokens += a.tokens
		}
		c := chunk{overlap: atoms[first-overlap].start, start: atoms[first].start, tokens: tokens}
		aim := rest
		if rest+tokens > budget {
			parts := (rest + budget - 1) / budget
			aim = rest / max(parts, 2)
		}
		end := nextBreak(atoms, first, tokens, aim, budget)
		for _, a := range atoms[first:end] {
			c.tokens += a.tokens
			rest -= a.tokens
		}
		c.end = atoms[end-1].end
		out = append(out, c)
		overlap = 0
		if end < len(atoms) && atoms[end].strength < breakParagraph {
			overlap = tail(atoms[first:end], budget/overlapShare)
		}
		first = end
	}
	return out
}

// nextBreak returns the index of the atom that begins the next chunk, at least first+1.
// tokens is the size of the overlap, aim the target size.
func nextBreak(atoms []atom, first, tokens, aim, budget int) int {
	best, bestStrength, bestMiss := 0, -1, 0
	size := 0
	for i := first; i < len(atoms); i++ {
		if i > first && tokens+size+atoms[i].tokens > budget {
			if best == 0 {
				best = i
			}
			return best
		}
		size += atoms[i].tokens
		if i+1 == len(atoms) {
			return i + 1
		}
		if size*10 < aim*earliest {
			continue
		}
		s, miss := atoms[i+1].strength, max(aim-size, size-aim)
		if s > bestStrength || s == bestStrength && miss < bestMiss {
			best, bestStrength, bestMiss = i+1, s, miss
		}
	}
	return len(atoms)
}

// tail returns how many atoms at the end have at most limit tokens together. It never
// returns all of them, so that every chunk adds text.
func tail(atoms []atom, limit int) int {
	n := 0
	for tokens := 0; n < len(atoms)-1; n++ {
		tokens += atoms[len(atoms)-1-n].tokens
		if tokens > limit {
			break
		}
	}
	return n
}

// atomize cuts text into sentences, and long sentences into pieces. Each atom extends to the
// next one, and the first begins at 0, so that nothing is lost.
func atomize(text string, budget int, count counter) []atom {
	// A token has at least one byte, so an atom and an overlap together are within the
	// budget.
	limit := min(atomBytes, budget-budget/overlapShare)
	var atoms []atom
	add := func(start, end, strength int) {
		for start < end {
			at := start + hardCut(text[start:end], limit)
			atoms = append(atoms, atom{start: start, end: at, tokens: count(text[start:at]), strength: strength})
			start, strength = at, breakHard
		}
	}
	// A sentence is added when the next one begins.
	start, before := 0, breakHeading
	var prev sentences.Sentence
	first := true
	for s := range sentences.All(text) {
		if !first {
			add(start, s.Start, before)
			start, before = s.Start, strength(prev, s)
		}
		prev, first = s, false
	}
	add(start, len(text), before)
	return atoms
}

// strength rates a break between two sentences.
func strength(prev, s sentences.Sentence) int {
	switch {
	case prev.Heading && (!s.Heading || s.Level > prev.Level):
		return breakHard // a heading stays with its section
	case s.Heading:
		return breakHeading - s.Level
	case s.Kind == sentences.Table && prev.Kind == sentences.Table:
		return breakSentence // rows need the header of their table
	case s.Paragraph != prev.Paragraph:
		return breakParagraph
	}
	return breakSentence
}

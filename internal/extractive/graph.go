package extractive

import (
	"math"
	"slices"
)

// graph holds the sentences as unit vectors of tf-idf weights, and the similarity of each two of
// them, which is their cosine (Erkan and Radev, "LexRank", JAIR 2004).
type graph struct {
	vectors [][]weight // by term
	edges   [][]edge
}

type weight struct {
	term  int32
	value float64
}

type edge struct {
	to    int32
	value float64
}

// noise is the cosine below which two sentences share only frequent words. As in LexRank with a
// threshold, such pairs are not connected.
const noise = 0.03

// newGraph compares all candidates of one part; the idf is of that part.
func newGraph(list []candidate, l *language) *graph {
	g := &graph{vectors: make([][]weight, len(list)), edges: make([][]edge, len(list))}
	ids := map[string]int32{}
	var df []int
	for i, c := range list {
		var v []weight
		for w := range terms(c.text, l) {
			id, ok := ids[w]
			if !ok {
				id = int32(len(df))
				ids[w] = id
				df = append(df, 0)
			}
			v = append(v, weight{id, 1})
		}
		g.vectors[i] = merge(v)
		for _, w := range g.vectors[i] {
			df[w.term]++
		}
	}
	type posting struct {
		sentence int32
		value    float64
	}
	postings := make([][]posting, len(df))
	for i, v := range g.vectors {
		sum := 0.0
		for k := range v {
			v[k].value *= math.Log(float64(len(list)+1) / float64(df[v[k].term]))
			sum += v[k].value * v[k].value
		}
		sum = math.Sqrt(sum)
		for k := range v {
			v[k].value /= sum
			postings[v[k].term] = append(postings[v[k].term], posting{int32(i), v[k].value})
		}
	}
	row := make([]float64, len(list))
	for i, v := range g.vectors {
		for _, w := range v {
			for _, p := range postings[w.term] {
				row[p.sentence] += w.value * p.value
			}
		}
		n := 0
		for _, s := range row {
			if s > noise {
				n++
			}
		}
		g.edges[i] = make([]edge, 0, n)
		for j, s := range row {
			if s > noise && j != i {
				g.edges[i] = append(g.edges[i], edge{int32(j), s})
			}
			row[j] = 0
		}
	}
	return g
}

// merge sorts a vector by term and adds the weights of equal terms.
func merge(v []weight) []weight {
	slices.SortFunc(v, func(a, b weight) int { return int(a.term) - int(b.term) })
	out := v[:0]
	for _, w := range v {
		if n := len(out); n > 0 && out[n-1].term == w.term {
			out[n-1].value += w.value
			continue
		}
		out = append(out, w)
	}
	return out
}

// centrality is LexRank without restarts. On a symmetric graph the stationary distribution of
// the walk is proportional to the sum of a sentence's similarities, so it needs no iteration. On
// papers it is as good as damping 0.85, which gives every cluster the same mass, even one of
// little weight in the document. The mean of the result is 1.
func (g *graph) centrality() []float64 {
	out := make([]float64, len(g.edges))
	total := 0.0
	for i, row := range g.edges {
		for _, e := range row {
			out[i] += e.value
		}
		out[i] += noise // so that no sentence has 0
		total += out[i]
	}
	for i := range out {
		out[i] *= float64(len(out)) / total
	}
	return out
}

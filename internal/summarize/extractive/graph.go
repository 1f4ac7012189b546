package extractive

import (
	"math"
	"slices"
)

// graph holds the sentences as unit vectors of tf-idf weights and the similarity of
// every two of them, which is their cosine (Erkan and Radev, "LexRank", JAIR 2004).
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
			if s > 0 {
				n++
			}
		}
		g.edges[i] = make([]edge, 0, n)
		for j, s := range row {
			if s > 0 && j != i {
				g.edges[i] = append(g.edges[i], edge{int32(j), s})
			}
			row[j] = 0
		}
	}
	return g
}

// merge sorts a vector by term and adds up what is there twice.
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

// centrality is continuous LexRank: the stationary probability of a walk that follows
// similarity and starts anew with probability 0.15. The mean of the result is 1.
func (g *graph) centrality() []float64 {
	const (
		damping = 0.85
		rounds  = 30
		enough  = 1e-4 // change of a round, of a total of 1
	)
	n := len(g.edges)
	out := make([]float64, n) // sum of similarities
	p, q := make([]float64, n), make([]float64, n)
	for i, row := range g.edges {
		for _, e := range row {
			out[i] += e.value
		}
		p[i] = 1 / float64(n)
	}
	for range rounds {
		loose := 0.0 // of sentences like no other: spread evenly
		clear(q)
		for i, row := range g.edges {
			if out[i] == 0 {
				loose += p[i]
				continue
			}
			share := damping * p[i] / out[i]
			for _, e := range row {
				q[e.to] += share * e.value
			}
		}
		change := 0.0
		for i := range q {
			q[i] += (1 - damping + damping*loose) / float64(n)
			change += math.Abs(q[i] - p[i])
		}
		p, q = q, p
		if change < enough {
			break
		}
	}
	for i := range p {
		p[i] *= float64(n)
	}
	return p
}

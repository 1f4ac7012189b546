package main

import (
	"math"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/extractive/sentences"
)

// prose returns the sentences of text that are not headings, unchanged.
func prose(text string) []string {
	var out []string
	for _, s := range sentences.Split(text) {
		if !s.Heading {
			out = append(out, strings.Join(strings.Fields(s.Text), " "))
		}
	}
	return out
}

// lead takes the first sentences until words words are reached.
func lead(text string, words int) string {
	var picked []int
	list := prose(text)
	for i := range list {
		picked = append(picked, i)
	}
	return fill(list, picked, words)
}

// lexRank is continuous LexRank as published (Erkan and Radev, JAIR 2004): tf-idf over all
// words, damping 0.85, no bound on redundancy, the highest sentences until words words are
// reached, in the order of the document. It shares no code with the engine.
func lexRank(text string, words int) string {
	list := prose(text)
	rank := centrality(list)
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case rank[a] > rank[b]:
			return -1
		case rank[a] < rank[b]:
			return 1
		}
		return 0
	})
	return fill(list, order, words)
}

// fill takes sentences in the given order until words words are reached. It skips a sentence
// that would exceed the length by more than the text falls short of it.
func fill(list []string, order []int, words int) string {
	var picked []int
	total := 0
	for _, i := range order {
		n := len(strings.Fields(list[i]))
		if total+n > words && total+n-words > words-total {
			continue
		}
		picked = append(picked, i)
		if total += n; total >= words {
			break
		}
	}
	slices.Sort(picked)
	var out []string
	for _, i := range picked {
		out = append(out, list[i])
	}
	return strings.Join(out, " ")
}

func centrality(list []string) []float64 {
	n := len(list)
	tf := make([]map[string]float64, n)
	df := map[string]float64{}
	for i, s := range list {
		tf[i] = map[string]float64{}
		for _, w := range strings.FieldsFunc(strings.ToLower(s), notWord) {
			tf[i][w]++
		}
		for w := range tf[i] {
			df[w]++
		}
	}
	for _, v := range tf {
		sum := 0.0
		for w, f := range v {
			v[w] = f * math.Log(float64(n)/df[w])
			sum += v[w] * v[w]
		}
		for w := range v {
			v[w] /= math.Sqrt(sum)
		}
	}
	sim, out := make([][]float64, n), make([]float64, n)
	for i := range sim {
		sim[i] = make([]float64, n)
	}
	for i := range sim {
		for j := range i {
			s := 0.0
			for w, x := range tf[i] {
				s += x * tf[j][w]
			}
			if s > 0 { // also drops the NaN of a sentence without weight
				sim[i][j], sim[j][i] = s, s
				out[i] += s
				out[j] += s
			}
		}
	}
	p := make([]float64, n)
	for i := range p {
		p[i] = 1 / float64(n)
	}
	for range 50 {
		q := make([]float64, n)
		for i := range q {
			q[i] = 0.15 / float64(n)
		}
		for i, row := range sim {
			for j, s := range row {
				if s > 0 {
					q[j] += 0.85 * p[i] * s / out[i]
				}
			}
		}
		p = q
	}
	return p
}

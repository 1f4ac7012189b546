package extractive

// sieve reduces a stream of candidates in rounds. Candidates at index k have passed k rounds.
// Whenever there are partSize of them, they are ranked, and the best move to k+1. A round
// therefore holds at most partSize candidates, and time is linear in their number.
type sieve [][]candidate

func (s *sieve) add(d *document, c candidate) {
	rest := []candidate{c}
	for k := 0; len(rest) > 0; k++ {
		if k == len(*s) {
			*s = append(*s, nil)
		}
		(*s)[k] = append((*s)[k], rest...)
		if len((*s)[k]) < partSize {
			return
		}
		rest = d.best((*s)[k])
		(*s)[k] = (*s)[k][:0]
	}
}

// finish returns the remaining candidates in order. Those of the end of the document, which have
// passed fewer rounds, first pass as many as the others.
func (s *sieve) finish(d *document) []candidate {
	if len(*s) == 0 {
		return nil
	}
	top := len(*s) - 1
	list := (*s)[top]
	for k := top - 1; k >= 0; k-- {
		rest := (*s)[k]
		for range top - k {
			rest = d.best(rest)
		}
		list = append(list, rest...)
	}
	if d.language == nil {
		d.language = detect(list)
	}
	return list
}

// best returns the best of a part, one in survivors, in document order.
func (d *document) best(part []candidate) []candidate {
	if len(part) == 0 {
		return nil
	}
	if d.language == nil {
		d.language = detect(part)
	}
	order := ranking(d.scores(part, newGraph(part, d.language), false))
	keep := make([]bool, len(part))
	for _, i := range order[:(len(order)+survivors-1)/survivors] {
		keep[i] = true
	}
	var out []candidate
	for i, c := range part {
		if keep[i] {
			out = append(out, c)
		}
	}
	return out
}

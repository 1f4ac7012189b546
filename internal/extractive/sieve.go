package extractive

// sieve thins out a stream of candidates in rounds. Candidates at index k have been
// through k rounds; whenever partSize of them are there, they are ranked and the best
// go on to k+1. So it never holds more than partSize candidates a round, and time is
// linear in their number.
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

// finish returns what is left, in order. The tail of the document, which has been
// through fewer rounds, is put through as many as the rest.
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

// best returns the best candidates of a part in order, one in survivors.
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

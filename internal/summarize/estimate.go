package summarize

// Estimate implements Engine. A document without text, or one the prompt fails on,
// needs no call.
func (e *caller) Estimate(d Document) (calls, tokensIn, tokensOutMax int) {
	j, err := e.job(d)
	if err != nil {
		return 0, 0, 0
	}
	r, err := j.wholeRequest()
	if err != nil {
		return 0, 0, 0
	}
	if n := e.tokens(r); n <= e.limits.wholeInput {
		return 1, n, r.MaxOutputTokens
	}
	book := func(overhead, text, output int) {
		calls, tokensIn, tokensOutMax = calls+1, tokensIn+overhead+text, tokensOutMax+output
	}
	chunks := split(j.doc.Text, e.limits.chunk, e.count.count)
	overhead := e.tokens(j.chunkRequest(""))
	for _, c := range chunks {
		book(overhead, c.tokens, e.limits.noteOutput)
	}
	// At most as many tokens as the cap allows come back for each.
	notes := make([]note, len(chunks))
	for i := range notes {
		notes[i].tokens = e.limits.noteOutput
	}
	overhead = e.tokens(j.mergeRequest(nil, ""))
	for len(notes) > 1 && size(notes) > e.limits.notes {
		groups := group(notes, e.limits.notes)
		for _, g := range groups {
			if len(g) > 1 {
				book(overhead, size(g)+e.limits.evidence, e.limits.noteOutput)
			}
		}
		notes = notes[:len(groups)]
	}
	if r, err = j.finalRequest(nil, ""); err == nil {
		book(e.tokens(r), size(notes)+e.limits.evidence, r.MaxOutputTokens)
	}
	return calls, tokensIn, tokensOutMax
}

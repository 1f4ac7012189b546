package summarize

import "github.com/gistmill/gistmill/internal/llm"

// Estimate implements [Engine]. A document without text, or with too few words, needs no
// call, and neither does one that the prompt's template fails on.
func (e *modelEngine) Estimate(d Document) (calls, tokensIn, tokensOutMax int) {
	w, err := e.work(d)
	if err != nil {
		return 0, 0, 0
	}
	r, err := w.wholeRequest()
	if err != nil {
		return 0, 0, 0
	}
	if n := e.tokens(r); n <= e.limits.wholeInput {
		return 1, n, r.OutputCap()
	}
	book := func(r llm.Request, overhead, text int) {
		calls, tokensIn, tokensOutMax = calls+1, tokensIn+overhead+text, tokensOutMax+r.OutputCap()
	}
	chunks := split(w.doc.Text, e.limits.chunk, e.count.count)
	r = w.chunkRequest("")
	overhead := e.tokens(r)
	for _, c := range chunks {
		book(r, overhead, c.tokens)
	}
	// Each note has at most as many tokens as the cap allows.
	notes := make([]note, len(chunks))
	for i := range notes {
		notes[i].tokens = e.limits.noteOutput
	}
	r = w.mergeRequest(nil, "")
	overhead = e.tokens(r)
	for len(notes) > 1 && size(notes) > e.limits.notes {
		groups := group(notes, e.limits.notes)
		for _, g := range groups {
			if len(g) > 1 {
				book(r, overhead, size(g)+e.limits.evidence)
			}
		}
		notes = notes[:len(groups)]
	}
	if r, err = w.finalRequest(nil, ""); err == nil {
		book(r, e.tokens(r), size(notes)+e.limits.evidence)
	}
	return calls, tokensIn, tokensOutMax
}

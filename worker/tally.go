package worker

import (
	"maps"
	"sync"

	"github.com/gistmill/gistmill/internal/ledger"
)

// tally is what this worker has counted since it began. The ledger is told with each renewal of the lease. The zero value is empty.
type tally struct {
	mu      sync.Mutex
	all     ledger.Counts
	changed map[ledger.Count]bool // since the ledger was told
}

func (t *tally) add(n int64, name, label string) {
	if n == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all, t.changed = ledger.Counts{}, map[ledger.Count]bool{}
	}
	c := ledger.Count{Name: name, Label: label}
	t.all[c] += n
	t.changed[c] = true
}

// news are the counts that the ledger does not have.
func (t *tally) news() ledger.Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := make(ledger.Counts, len(t.changed))
	for c := range t.changed {
		news[c] = t.all[c]
	}
	return news
}

// told says that the ledger has news; what has changed since stays to be told.
func (t *tally) told(news ledger.Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.changed, func(c ledger.Count, _ bool) bool {
		n, ok := news[c]
		return ok && n == t.all[c]
	})
}

// call counts the end of a call.
func (t *tally) call(class string, a ledger.Answer) {
	t.add(1, ledger.CountCalls, class)
	t.add(a.TokensIn, ledger.CountTokens, ledger.LabelIn)
	t.add(a.TokensOut, ledger.CountTokens, ledger.LabelOut)
	if a.CostNano != nil {
		t.add(*a.CostNano, ledger.CountCost, "")
	}
}

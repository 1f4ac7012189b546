package worker

import (
	"maps"
	"sync"

	"github.com/gistmill/gistmill/internal/ledger"
)

// counters are what this worker has counted since it started. Each renewal of its lease writes the
// changed ones to the ledger. The methods are safe for concurrent use.
type counters struct {
	mu      sync.Mutex
	all     ledger.Counts
	changed map[ledger.Count]bool // since the last ack
}

func newCounters() *counters {
	return &counters{all: ledger.Counts{}, changed: map[ledger.Count]bool{}}
}

func (c *counters) add(n int64, name, label string) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	count := ledger.Count{Name: name, Label: label}
	c.all[count] += n
	c.changed[count] = true
}

// delta returns the current values of the counters that the ledger does not have yet.
func (c *counters) delta() ledger.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	delta := make(ledger.Counts, len(c.changed))
	for count := range c.changed {
		delta[count] = c.all[count]
	}
	return delta
}

// ack notes that the ledger has delta. Counters that have changed since then stay changed.
func (c *counters) ack(delta ledger.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.changed, func(count ledger.Count, _ bool) bool {
		n, ok := delta[count]
		return ok && n == c.all[count]
	})
}

// Did is what a worker has done so far.
type Did struct {
	Done, Dead int64 // documents
	Calls      int64 // that have ended
}

// Did returns what the worker has done so far. It may be called at any time.
func (w *Worker) Did() Did {
	c := w.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	d := Did{
		Done: c.all[ledger.Count{Name: ledger.CountDocuments, Label: ledger.LabelDone}],
		Dead: c.all[ledger.Count{Name: ledger.CountDocuments, Label: ledger.LabelDead}],
	}
	for count, n := range c.all {
		if count.Name == ledger.CountCalls {
			d.Calls += n
		}
	}
	return d
}

// call counts a call that has ended.
func (c *counters) call(class string, a ledger.Answer) {
	c.add(1, ledger.CountCalls, class)
	c.add(a.TokensIn, ledger.CountTokens, ledger.LabelIn)
	c.add(a.TokensOut, ledger.CountTokens, ledger.LabelOut)
	if a.CostNano != nil {
		c.add(*a.CostNano, ledger.CountCost, "")
	}
}

package worker

import (
	"context"
	"sync"

	"github.com/gistmill/gistmill/internal/ledger"
)

// hands are the claims that the worker knows it has, until they are booked. The ledger may have more: when the connection breaks at a
// commit, documents are claimed and nobody hears of it. They would stay so as long as the worker lives.
type hands struct {
	mu   sync.Mutex
	held map[claimID]struct{}
}

type claimID struct {
	run      ledger.RunID
	document ledger.DocumentID
	epoch    int64
}

func idOf(c ledger.Claimed) claimID { return claimID{c.Run, c.Document, c.Epoch} }

func (h *hands) take(claimed []ledger.Claimed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = map[claimID]struct{}{}
	}
	for _, c := range claimed {
		h.held[idOf(c)] = struct{}{}
	}
}

func (h *hands) drop(c ledger.Claimed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, idOf(c))
}

func (h *hands) have(c ledger.Claimed) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, held := h.held[idOf(c)]
	return held
}

// freeStrays hands back what the ledger has as claimed by this worker in a partition and is in nobody's hands, and says whether that
// was anything. Should it catch a claim that is only just being heard of, that one's outcome is refused as a stale one.
func (w *Worker) freeStrays(ctx context.Context, partition ledger.PartitionID) (freed bool, err error) {
	claims, err := w.Ledger.Claims(ctx, w.id, partition)
	if err != nil {
		return false, err
	}
	for _, c := range claims {
		if w.hands.have(c) {
			continue
		}
		w.Log.Warn("a claim that nobody heard of is handed back", "partition", partition, "document", c.Document)
		if err := w.Ledger.Release(ctx, w.id, c, 0); err != nil {
			return freed, err
		}
		freed = true
	}
	return freed, nil
}

package worker

import (
	"context"
	"sync"

	"github.com/gistmill/gistmill/internal/ledger"
)

// heldClaims are the claims that this worker has received and not ended. The ledger may have
// more: if the connection breaks at a commit, documents are claimed and the reply is lost.
// Such an orphaned claim would last as long as the worker lives. The methods are safe for
// concurrent use.
type heldClaims struct {
	mu   sync.Mutex
	held map[claimID]struct{}
}

type claimID struct {
	run      ledger.RunID
	document ledger.DocumentID
	epoch    int64
}

func idOf(c ledger.Claimed) claimID { return claimID{c.Run, c.Document, c.Epoch} }

func newHeldClaims() *heldClaims { return &heldClaims{held: map[claimID]struct{}{}} }

func (h *heldClaims) add(claimed []ledger.Claimed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range claimed {
		h.held[idOf(c)] = struct{}{}
	}
}

func (h *heldClaims) remove(c ledger.Claimed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, idOf(c))
}

func (h *heldClaims) has(c ledger.Claimed) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, held := h.held[idOf(c)]
	return held
}

// releaseOrphans releases the worker's orphaned claims in a partition, and reports whether
// there were any. It may release a claim whose reply is still on its way; the outcome of that
// claim is then stale.
func (w *Worker) releaseOrphans(ctx context.Context, partition ledger.PartitionID) (released bool, err error) {
	claims, err := w.ledger.Claims(ctx, w.id, partition)
	if err != nil {
		return false, err
	}
	for _, c := range claims {
		if w.claims.has(c) {
			continue
		}
		w.log.Warn("releasing orphaned claim", "partition", partition, "document", c.Document)
		if err := w.ledger.Release(ctx, w.id, c, 0); err != nil {
			return released, err
		}
		released = true
	}
	return released, nil
}

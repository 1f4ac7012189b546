package worker

import "github.com/gistmill/gistmill/internal/ledger"

// noteFull says whether an error is a full disk that is to end the worker, and lets it end: no call is made any more.
func (w *Worker) noteFull(err error) bool {
	if !w.EndWhenFull || !ledger.IsFull(err) {
		return false
	}
	w.noRoom.Store(true)
	select {
	case w.full <- err:
	default: // it ends already
	}
	return true
}

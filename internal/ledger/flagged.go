package ledger

import (
	"context"
	"fmt"
)

// Flagged counts the documents that a run has done and whose summary has findings. It reads no more than those.
func (l *Ledger) Flagged(ctx context.Context, run RunID) (int64, error) {
	var n int64
	err := l.read.QueryRow(ctx, `SELECT COUNT(*) FROM run_documents WHERE run_num = $1 AND flagged = 1 AND state = 'done'`, run).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count the flagged documents: %w", err)
	}
	return n, nil
}

// flag is what run_documents.flagged is for a summary.
func (s Summary) flag() int {
	if len(s.Checks) > 0 && string(s.Checks) != "[]" {
		return 1
	}
	return 0
}

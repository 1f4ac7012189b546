package report

import (
	"context"
	"fmt"
)

// CallSeconds returns the mean duration in seconds of a model's newest answered calls: at most 200
// among the ledger's last 10,000 calls; nil if there are none. It includes waits for a rate limit.
func (r Reports) CallSeconds(ctx context.Context, model string) (*float64, error) {
	var mean *float64 // in milliseconds
	err := r.read.QueryRow(ctx, `SELECT CAST(AVG(finished_at - started_at) AS DOUBLE PRECISION) FROM (SELECT c.finished_at, c.started_at
		FROM (SELECT model, class, started_at, finished_at FROM calls ORDER BY id DESC LIMIT 10000) AS c
		WHERE c.model = $1 AND c.class = 'ok' AND c.finished_at IS NOT NULL LIMIT 200) AS newest`, model).Scan(&mean)
	if err != nil {
		return nil, fmt.Errorf("read the duration of calls: %w", err)
	}
	if mean != nil {
		*mean /= 1000
	}
	return mean, nil
}

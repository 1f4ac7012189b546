package report

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/gistmill/gistmill/internal/ledger"
)

// sampledCalls is the number of a run's latest calls that estimate the reservation of its next
// call.
const sampledCalls = 100

// CallsLeft estimates how many calls the rest of a run's caps, and of a cap on the day (nil: none),
// still allows, calls in flight included. limited is false when there is no cap, or no call yet to
// estimate from.
func (r Reports) CallsLeft(ctx context.Context, run ledger.RunID, dayCapNano *int64) (calls float64, limited bool, err error) {
	var nano, tokens, spentToday sql.NullInt64
	var open int64
	var meanNano, meanTokens sql.NullFloat64
	err = r.read.QueryRow(ctx, `SELECT r.budget_nano - r.spent_nano, r.budget_tokens - r.spent_tokens,
		(SELECT spent_nano FROM days WHERE day = CAST(@now AS BIGINT) / 86400000),
		(SELECT COUNT(*) FROM calls `+r.read.IndexedBy("calls_open")+` WHERE run_num = $1 AND finished_at IS NULL), m.nano, m.tokens
		FROM runs r, (SELECT CAST(AVG(reserved_nano) AS DOUBLE PRECISION) AS nano, CAST(AVG(reserved_tokens) AS DOUBLE PRECISION) AS tokens
			FROM (SELECT reserved_nano, reserved_tokens FROM calls WHERE run_num = $2 ORDER BY id DESC LIMIT $3) latest) m
		WHERE r.num = $4`, run, run, sampledCalls, run).Scan(&nano, &tokens, &spentToday, &open, &meanNano, &meanTokens)
	if err != nil {
		return 0, false, fmt.Errorf("estimate the calls left: %w", err)
	}
	allow := func(left int64, mean sql.NullFloat64) {
		if !mean.Valid || mean.Float64 <= 0 {
			return
		}
		if n := float64(open) + float64(max(left, 0))/mean.Float64; !limited || n < calls {
			calls, limited = n, true
		}
	}
	if nano.Valid {
		allow(nano.Int64, meanNano)
	}
	if tokens.Valid {
		allow(tokens.Int64, meanTokens)
	}
	if dayCapNano != nil {
		allow(*dayCapNano-spentToday.Int64, meanNano)
	}
	return calls, limited, nil
}

package ledger

import (
	"context"
	"fmt"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// BeginCheck records a call that belongs to no run, before it is made: that of `gistmill check`. It
// counts against the cap on the day, and fails with a *[DayBudgetError] if it does not fit. Run,
// Document and Worker of the reservation are not used. The call must be ended with
// [Ledger.EndCheck].
func (l *Ledger) BeginCheck(ctx context.Context, in Reservation) (call CallID, err error) {
	if in.DayCapNano != nil {
		if in.ReservedNano == nil {
			return 0, ErrUnpriced
		}
		if err := l.openDay(ctx); err != nil {
			return 0, err
		}
	}
	err = l.db.Tx(ctx, func(tx sqldb.Handle) error {
		var day int64
		if err := tx.QueryRow(ctx, `INSERT INTO calls (run_num, document_id, worker_id, name, model, started_at, reserved_nano, reserved_tokens, token)
			VALUES (0, 0, 0, $1, $2, @now, CAST($3 AS BIGINT), $4, $5) RETURNING id, started_at / 86400000`,
			in.Name, in.Model, nullable(in.ReservedNano), in.ReservedTokens, in.Token).Scan(&call, &day); err != nil {
			return err
		}
		money := orZero(in.ReservedNano)
		n, err := tx.Exec(ctx, `UPDATE days SET spent_nano = spent_nano + $1 WHERE day = $2
			AND (CAST($3 AS BIGINT) IS NULL OR spent_nano + $4 <= CAST($5 AS BIGINT))`, money, day, nullable(in.DayCapNano), money, nullable(in.DayCapNano))
		if err == nil && n == 0 && in.DayCapNano != nil {
			return &DayBudgetError{Ends: endOfDay(day)}
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("record a call: %w", err)
	}
	return call, nil
}

// EndCheck books the end of a call that [Ledger.BeginCheck] has recorded. It stores no answer.
func (l *Ledger) EndCheck(ctx context.Context, call CallID, in Reservation, class Class, used Answer) error {
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		var day int64
		if err := tx.QueryRow(ctx, `UPDATE calls SET finished_at = @now, class = $1, endpoint = $2, tokens_in = $3, tokens_cached = $4, tokens_out = $5,
			cost_nano = CAST($6 AS BIGINT) WHERE id = $7 RETURNING started_at / 86400000`,
			string(class), used.Endpoint, used.TokensIn, used.TokensCached, used.TokensOut, nullable(used.CostNano), call).Scan(&day); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE days SET spent_nano = spent_nano + $1 WHERE day = $2`, orZero(used.CostNano)-orZero(in.ReservedNano), day)
		return err
	})
	if err != nil {
		return fmt.Errorf("book a call: %w", err)
	}
	return nil
}

// DropCheck removes the record of a call that was not made, and its reservation.
func (l *Ledger) DropCheck(ctx context.Context, call CallID, in Reservation) error {
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		var day int64
		if err := tx.QueryRow(ctx, `DELETE FROM calls WHERE id = $1 RETURNING started_at / 86400000`, call).Scan(&day); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE days SET spent_nano = spent_nano - $1 WHERE day = $2`, orZero(in.ReservedNano), day)
		return err
	})
	if err != nil {
		return fmt.Errorf("remove a call record: %w", err)
	}
	return nil
}

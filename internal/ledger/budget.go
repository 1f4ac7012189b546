package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// A cap limits what is spent plus what calls in flight have reserved, so that no number of workers
// can exceed it. A run keeps this sum in its row, a day in the row that openDay makes. Where there
// is no cap the sum is not kept.

var (
	// ErrReserved refuses a call whose reservation does not fit until calls in flight have ended: try
	// again soon.
	ErrReserved = errors.New("calls in flight have reserved the rest of the budget")
	// ErrUnpriced refuses a call without a known price under a cap in USD.
	ErrUnpriced = errors.New("the call has no known price, and its run or day has a budget in USD")

	errDayClosed = errors.New("the day has no row yet")
)

// DayBudgetError refuses a call whose reservation does not fit into the cap on a UTC day. It is an
// [ErrBudget].
type DayBudgetError struct {
	Ends time.Time // end of the day, in ledger time
}

func (e *DayBudgetError) Error() string {
	return "the budget of the day is used up; the day ends at " + e.Ends.Format(time.RFC3339)
}

// Is makes the error an ErrBudget.
func (e *DayBudgetError) Is(target error) bool { return target == ErrBudget }

const dayMillis = 24 * 60 * 60 * 1000

// endOfDay returns the end of a day, which is in days since 1970.
func endOfDay(day int64) time.Time { return time.UnixMilli((day + 1) * dayMillis).UTC() }

// caps says which sums a call counts in.
type caps struct {
	ofDay bool // the day on which it started has a row
	ofRun bool // the run has a cap
	inUSD bool // … in USD
}

type capsKey struct {
	run RunID
	day int64
}

// caps reads the caps for a call. It must come after the call's row was written in the same
// transaction: openDay and setBudget lock the table, so that either this sees their change or they
// see the call. The result holds to the end of the transaction.
func (l *Ledger) caps(ctx context.Context, tx *batch, run RunID, day int64) (caps, error) {
	key := capsKey{run, day}
	if c, ok := tx.caps[key]; ok {
		return c, nil
	}
	var c caps
	err := tx.QueryRow(ctx, `SELECT CASE WHEN EXISTS (SELECT 1 FROM days d WHERE d.day = $1) THEN 1 ELSE 0 END,
		CASE WHEN r.budget_nano IS NULL AND r.budget_tokens IS NULL THEN 0 ELSE 1 END, CASE WHEN r.budget_nano IS NULL THEN 0 ELSE 1 END
		FROM runs r WHERE r.num = $2`, day, run).Scan(&c.ofDay, &c.ofRun, &c.inUSD)
	if err == nil {
		tx.caps[key] = c
	}
	return c, err
}

// reserve adds a call's tokens and cost to the sums of its caps, or returns why they do not fit. It
// does not touch a run without a cap: all workers would wait for its row. The day always comes
// first, so that two transactions with calls of several runs do not deadlock. some are the calls
// whose rows were written together with this one.
func (l *Ledger) reserve(ctx context.Context, tx *batch, in *callStart, some []*callStart) (refusal, err error) {
	day := in.day
	c, err := l.caps(ctx, tx, in.Run, day)
	switch {
	case err != nil || !c.ofRun && !c.ofDay && in.DayCapNano == nil:
		return nil, err
	case in.ReservedNano == nil && (c.inUSD || in.DayCapNano != nil):
		return ErrUnpriced, nil
	case in.DayCapNano != nil && !c.ofDay:
		return errDayClosed, nil
	}
	money := orZero(in.ReservedNano)
	if c.ofDay {
		n, err := tx.Exec(ctx, `UPDATE days SET spent_nano = spent_nano + $1 WHERE day = $2
			AND (CAST($3 AS BIGINT) IS NULL OR spent_nano + $4 <= CAST($5 AS BIGINT))`, money, day, nullable(in.DayCapNano), money, nullable(in.DayCapNano))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return l.dayRefusal(ctx, tx, unreserved(some), day, money, *in.DayCapNano)
		}
	}
	if !c.ofRun {
		return nil, nil
	}
	n, err := tx.Exec(ctx, `UPDATE runs SET spent_nano = spent_nano + $1, spent_tokens = spent_tokens + $2 WHERE num = $3
		AND (budget_nano IS NULL OR spent_nano + $4 <= budget_nano) AND (budget_tokens IS NULL OR spent_tokens + $5 <= budget_tokens)`,
		money, in.ReservedTokens, in.Run, money, in.ReservedTokens)
	if err != nil || n == 1 {
		return nil, err
	}
	if c.ofDay {
		if _, err := tx.Exec(ctx, `UPDATE days SET spent_nano = spent_nano - $1 WHERE day = $2`, money, day); err != nil {
			return nil, err
		}
	}
	return l.runRefusal(ctx, tx, unreserved(some), in)
}

// runRefusal distinguishes a run whose budget is used up from one that must wait for calls in
// flight. One statement reads both sums at one moment. It names the index of open calls, because
// SQLite would read all calls of the run. uncounted are open calls that are not in the sums yet.
func (l *Ledger) runRefusal(ctx context.Context, tx *batch, uncounted []any, in *callStart) (refusal, err error) {
	var capNano, capTokens sql.NullInt64
	var nano, tokens int64 // spent by ended calls
	n := len(uncounted)
	err = tx.QueryRow(ctx, `SELECT r.budget_nano, r.budget_tokens, r.spent_nano - o.nano, r.spent_tokens - o.tokens FROM runs r,
		(SELECT CAST(COALESCE(SUM(reserved_nano), 0) AS BIGINT) AS nano, CAST(COALESCE(SUM(reserved_tokens), 0) AS BIGINT) AS tokens
		FROM calls `+l.read.IndexedBy("calls_open")+` WHERE finished_at IS NULL AND id NOT IN (`+sqldb.Placeholders(1, n)+fmt.Sprintf(`) AND run_num = $%d) o WHERE r.num = $%d`, n+1, n+2),
		append(uncounted, in.Run, in.Run)...).Scan(&capNano, &capTokens, &nano, &tokens)
	if err != nil {
		return nil, err
	}
	if capNano.Valid && nano+orZero(in.ReservedNano) > capNano.Int64 || capTokens.Valid && tokens+in.ReservedTokens > capTokens.Int64 {
		return ErrBudget, nil
	}
	return ErrReserved, nil
}

// dayRefusal is runRefusal for the cap on a day.
func (l *Ledger) dayRefusal(ctx context.Context, tx *batch, uncounted []any, day, money, limit int64) (refusal, err error) {
	var settled int64 // spent by ended calls
	n := len(uncounted)
	err = tx.QueryRow(ctx, `SELECT d.spent_nano - (SELECT CAST(COALESCE(SUM(reserved_nano), 0) AS BIGINT) FROM calls `+l.read.IndexedBy("calls_open")+`
		WHERE finished_at IS NULL AND id NOT IN (`+sqldb.Placeholders(1, n)+fmt.Sprintf(`) AND started_at / 86400000 = $%d) FROM days d WHERE d.day = $%d`, n+1, n+2),
		append(uncounted, day, day)...).Scan(&settled)
	if err != nil {
		return nil, err
	}
	if settled+money > limit {
		return &DayBudgetError{Ends: endOfDay(day)}, nil
	}
	return ErrReserved, nil
}

// adjustBudget adds to what a run and a day have spent: the difference between a call's cost and
// its reservation.
func (l *Ledger) adjustBudget(ctx context.Context, tx *batch, run RunID, day, nano, tokens int64) error {
	c, err := l.caps(ctx, tx, run, day)
	if err != nil {
		return err
	}
	if c.ofDay {
		if _, err := tx.Exec(ctx, `UPDATE days SET spent_nano = spent_nano + $1 WHERE day = $2`, nano, day); err != nil {
			return err
		}
	}
	if c.ofRun {
		_, err = tx.Exec(ctx, `UPDATE runs SET spent_nano = spent_nano + $1, spent_tokens = spent_tokens + $2 WHERE num = $3`, nano, tokens, run)
	}
	return err
}

// openDay makes the row of the current day, with the cost and the reservations of its calls so far.
// It runs in a transaction of its own: one that has booked calls, and then waits for all others
// that have, would deadlock.
func (l *Ledger) openDay(ctx context.Context) error {
	var there bool
	if err := l.read.QueryRow(ctx, `SELECT CASE WHEN EXISTS (SELECT 1 FROM days WHERE day = @now / 86400000) THEN 1 ELSE 0 END`).Scan(&there); err != nil || there {
		return err
	}
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		if err := l.db.LockTable(ctx, tx, "calls"); err != nil {
			return err
		}
		var day int64
		if err := tx.QueryRow(ctx, `SELECT @now / 86400000`).Scan(&day); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO days (day, spent_nano) SELECT CAST($1 AS BIGINT),
			CAST(COALESCE(SUM(CASE WHEN finished_at IS NULL THEN reserved_nano ELSE COALESCE(cost_nano, reserved_nano) END), 0) AS BIGINT)
			FROM calls WHERE `+startedOn(day)+` ON CONFLICT DO NOTHING`, day)
		return err
	})
	if err != nil {
		return fmt.Errorf("open the budget of the day: %w", err)
	}
	return nil
}

// startedOn is the SQL condition that a call started on a day. Ids grow with time, except while
// transactions overlap. So a search from the newest call back costs no more than reading the day,
// and needs no index on time.
func startedOn(day int64) string {
	const overlap = 10 * time.Minute // transactions end within writeTimeout
	begin := day * dayMillis
	return fmt.Sprintf(`started_at >= %d AND started_at < %d AND id > COALESCE((SELECT id FROM calls WHERE started_at < %d ORDER BY id DESC LIMIT 1), 0)`,
		begin, begin+dayMillis, begin-overlap.Milliseconds())
}

// DayAccount is the cost of the calls that started on a UTC day and have ended, all runs together.
type DayAccount struct {
	Begin     time.Time
	CostNano  int64
	CostKnown bool // false when the price of a call is unknown
}

// Today reads the account of the current day, in ledger time.
func (l *Ledger) Today(ctx context.Context) (DayAccount, error) {
	now, err := l.Now(ctx)
	if err != nil {
		return DayAccount{}, err
	}
	day := now.UnixMilli() / dayMillis
	a := DayAccount{Begin: time.UnixMilli(day * dayMillis).UTC()}
	var unknown int64
	err = l.read.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(cost_nano), 0) AS BIGINT), COUNT(*) FILTER (WHERE cost_nano IS NULL AND tokens_in + tokens_out > 0)
		FROM calls WHERE finished_at IS NOT NULL AND `+startedOn(day)).Scan(&a.CostNano, &unknown)
	if err != nil {
		return a, fmt.Errorf("add up the day: %w", err)
	}
	a.CostKnown = unknown == 0
	return a, nil
}

// setBudget replaces caps that are not nil, and computes the run's sums from its calls, because a
// run without a cap does not keep them. lockForBudget must come first, before the transaction
// touches the run.
func (l *Ledger) setBudget(ctx context.Context, tx sqldb.Handle, run RunID, nano, tokens *int64) error {
	if nano == nil && tokens == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `UPDATE runs SET budget_nano = COALESCE(CAST($1 AS BIGINT), budget_nano), budget_tokens = COALESCE(CAST($2 AS BIGINT), budget_tokens),
		spent_nano = (SELECT COALESCE(SUM(CASE WHEN finished_at IS NULL THEN reserved_nano ELSE COALESCE(cost_nano, reserved_nano) END), 0) FROM calls WHERE run_num = $3),
		spent_tokens = (SELECT COALESCE(SUM(CASE WHEN finished_at IS NULL THEN reserved_tokens ELSE tokens_in + tokens_out END), 0) FROM calls WHERE run_num = $4)
		WHERE num = $5`, nullable(nano), nullable(tokens), run, run, run)
	return err
}

// lockForBudget keeps calls from being booked until a transaction that sets caps has ended.
func (l *Ledger) lockForBudget(ctx context.Context, tx sqldb.Handle, nano, tokens *int64) error {
	if nano == nil && tokens == nil {
		return nil
	}
	return l.db.LockTable(ctx, tx, "calls")
}

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Reservation is what the ledger records of a call before it is made.
type Reservation struct {
	Run            RunID
	Document       DocumentID
	Worker         WorkerID
	Name           string // of the request: names all that determines the answer
	Token          int64  // call token: random, the same for each try to record this call; 0 is none
	Model          string
	ReservedTokens int64     // prompt and output limit
	ReservedNano   *int64    // nil: the price is unknown
	DayCapNano     *int64    // this worker's cap on the UTC day; nil: none
	Since          time.Time // answers before this do not count (forced run); zero: all count
}

// Answer is the answer to a call, with its usage.
type Answer struct {
	Content, FinishReason, Model, Endpoint string
	TokensIn, TokensCached, TokensOut      int64
	// CostNano is nil if the price is unknown. Then the reservation counts against budgets.
	CostNano *int64
	Tier     string // that the call was billed at; empty: not known
}

// BeginCall records a call before it is made, and reserves its tokens and cost where the run or the
// day has a budget. When the ledger has the answer, BeginCall returns it, and no call must be made.
// It fails with:
//
//   - [ErrBusy] while a call of the same name is open
//   - [ErrLapsed] when the worker's claims were released because its lease had lapsed
//   - [ErrReserved] when the reservation must wait for calls in flight
//   - [ErrBudget] when the reservation does not fit, for the day's cap as a [*DayBudgetError]
//   - [ErrUnpriced] when a budget in USD applies and the reservation has no price
//
// After a lost reply, a second try with the same token finds the recorded call.
func (l *Ledger) BeginCall(ctx context.Context, in Reservation) (call CallID, known *Answer, err error) {
	b := &callStart{Reservation: in}
	for {
		if err := l.commits.add(ctx, func(tx *batch) { tx.claimers, tx.starts = append(tx.claimers, b.Worker), append(tx.starts, b) }); err != nil {
			return 0, nil, fmt.Errorf("record a call: %w", err)
		}
		if !errors.Is(b.refusal, errDayClosed) {
			return b.call, b.known, b.refusal
		}
		if err := l.openDay(ctx); err != nil {
			return 0, nil, err
		}
	}
}

func orZero(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

// EndCall books a call that brought an answer. The answer is stored under the name of the request,
// whatever the outcome of the document.
func (l *Ledger) EndCall(ctx context.Context, call CallID, in Reservation, a Answer) error {
	return l.endCall(ctx, &callEnd{Reservation: in, Answer: a, call: call, class: ClassOK})
}

// FailCall books a call that brought no answer. used is its known cost or, after a timeout, its
// assumed cost.
func (l *Ledger) FailCall(ctx context.Context, call CallID, in Reservation, class Class, used Answer) error {
	return l.endCall(ctx, &callEnd{Reservation: in, Answer: used, call: call, class: class})
}

func (l *Ledger) endCall(ctx context.Context, e *callEnd) error {
	if err := l.commits.add(ctx, func(tx *batch) { tx.ends = append(tx.ends, e) }); err != nil {
		return fmt.Errorf("book a call: %w", err)
	}
	return nil
}

// DropCall removes the record of a call that was not made, and its reservation.
func (l *Ledger) DropCall(ctx context.Context, call CallID, in Reservation) error {
	err := l.commits.do(ctx, func(ctx context.Context, tx *batch) error {
		var day int64
		err := tx.QueryRow(ctx, `DELETE FROM calls WHERE id = $1 AND finished_at IS NULL RETURNING started_at / 86400000`, call).Scan(&day)
		if errors.Is(err, sql.ErrNoRows) { // the call of a lapsed worker, which counts
			return nil
		}
		if err != nil {
			return err
		}
		return l.adjustBudget(ctx, tx, in.Run, day, -orZero(in.ReservedNano), -in.ReservedTokens)
	})
	if err != nil {
		return fmt.Errorf("remove a call record: %w", err)
	}
	return nil
}

// ForgetAnswers removes answers that were of no use, so that a later attempt asks again.
func (l *Ledger) ForgetAnswers(ctx context.Context, names []string) error {
	for _, name := range names {
		if _, err := l.write.Exec(ctx, `DELETE FROM answers WHERE name = $1`, name); err != nil {
			return fmt.Errorf("remove an answer: %w", err)
		}
	}
	return nil
}

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Reservation is a call that is about to be made.
type Reservation struct {
	Run            RunID
	Document       DocumentID
	Worker         WorkerID
	Name           string // of the request: what determines the answer
	Token          int64  // the same for every try to record this one call; no other has it, but 0, which none is known by
	Model          string
	ReservedTokens int64     // prompt + output cap
	ReservedNano   *int64    // nil: the price is unknown
	DayCapNano     *int64    // cap on the UTC day that this worker brings; nil: none
	Since          time.Time // answers older than this do not count (forced run); zero: all count
}

// Answer is what a call brought.
type Answer struct {
	Content, FinishReason, Model, Endpoint string
	TokensIn, TokensCached, TokensOut      int64
	CostNano                               *int64 // nil: the price is unknown
}

// BeginCall records the intent of a call before it is made, and reserves its money where the run or the day has a cap. If
// the answer is in the ledger already it is returned and nothing must be called. It fails with ErrBusy while another
// call of that name is open, with ErrLapsed when the worker was taken for dead, with ErrReserved when the reservation has to wait for calls
// in flight, with ErrBudget (for the day's cap a *DayBudgetError) when it does not fit, and with ErrUnpriced when there is no price to
// reserve.
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

// EndCall books a call that brought an answer; the answer is kept under the request's name, whatever becomes of the
// document.
func (l *Ledger) EndCall(ctx context.Context, call CallID, in Reservation, a Answer) error {
	return l.endCall(ctx, &callEnd{Reservation: in, Answer: a, call: call, class: ClassOK})
}

// FailCall books a call that brought no answer. used is what it is known or, after a timeout, assumed to have cost.
func (l *Ledger) FailCall(ctx context.Context, call CallID, in Reservation, class Class, used Answer) error {
	return l.endCall(ctx, &callEnd{Reservation: in, Answer: used, call: call, class: class})
}

func (l *Ledger) endCall(ctx context.Context, e *callEnd) error {
	if err := l.commits.add(ctx, func(tx *batch) { tx.ends = append(tx.ends, e) }); err != nil {
		return fmt.Errorf("book a call: %w", err)
	}
	return nil
}

// DropCall takes back the intent of a call that is not made after all.
func (l *Ledger) DropCall(ctx context.Context, call CallID, in Reservation) error {
	err := l.commits.do(ctx, func(ctx context.Context, tx *batch) error {
		var day int64
		err := tx.QueryRow(ctx, `DELETE FROM calls WHERE id = $1 AND finished_at IS NULL RETURNING started_at / 86400000`, call).Scan(&day)
		if errors.Is(err, sql.ErrNoRows) { // a lapsed worker's, which counts
			return nil
		}
		if err != nil {
			return err
		}
		return l.adjustBudget(ctx, tx, in.Run, day, -orZero(in.ReservedNano), -in.ReservedTokens)
	})
	if err != nil {
		return fmt.Errorf("take a call back: %w", err)
	}
	return nil
}

// ForgetAnswers drops answers that turned out to be of no use, so that a later try asks again.
func (l *Ledger) ForgetAnswers(ctx context.Context, names []string) error {
	for _, name := range names {
		if _, err := l.write.Exec(ctx, `DELETE FROM answers WHERE name = $1`, name); err != nil {
			return fmt.Errorf("forget an answer: %w", err)
		}
	}
	return nil
}

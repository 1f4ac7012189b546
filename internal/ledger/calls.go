package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Intent is a call that is about to be made.
type Intent struct {
	Run, Document, Worker int64
	Name                  string // of the request: what determines the answer
	Token                 int64  // the same for every try to record this one call; no other has it, but 0, which none is known by
	Model                 string
	ReservedTokens        int64     // prompt + output cap
	ReservedNano          *int64    // nil: the price is unknown
	DayCapNano            *int64    // cap on the UTC day that this worker brings; nil: none
	Since                 time.Time // answers older than this do not count (forced run); zero: all count
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
func (l *Ledger) BeginCall(ctx context.Context, in Intent) (call int64, known *Answer, err error) {
	for {
		call, known, err = l.beginCall(ctx, in)
		if !errors.Is(err, errDayClosed) {
			return call, known, err
		}
		if err := l.openDay(ctx); err != nil {
			return 0, nil, err
		}
	}
}

func (l *Ledger) beginCall(ctx context.Context, in Intent) (call int64, known *Answer, err error) {
	var refusal error
	err = l.group.do(ctx, func(ctx context.Context, tx *batch) error {
		call, known, refusal = 0, nil, nil
		var day int64
		if leased, err := l.leased(ctx, tx, in.Worker); err != nil || !leased {
			refusal = ErrLapsed
			return err
		}
		err := l.row(ctx, tx, `INSERT INTO calls (run_num, document_id, worker_id, name, model, started_at, reserved_nano, reserved_tokens, token)
			VALUES ($1, $2, $3, $4, $5, @now, $6, $7, $8) ON CONFLICT (name) WHERE finished_at IS NULL DO NOTHING RETURNING id, started_at / 86400000`,
			in.Run, in.Document, in.Worker, in.Name, in.Model, nullable(in.ReservedNano), in.ReservedTokens, in.Token).Scan(&call, &day)
		if errors.Is(err, sql.ErrNoRows) {
			refusal = ErrBusy
			err = l.row(ctx, tx, `SELECT id FROM calls WHERE name = $1 AND finished_at IS NULL AND token = $2 AND token <> 0`, in.Name, in.Token).Scan(&call)
			if err == nil { // it was recorded and reserved, and nobody heard of it
				refusal = nil
				return nil
			}
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		// After the insert, which waits for the end of an equal call that is just being booked.
		if known, err = l.answer(ctx, tx, in); err != nil {
			return err
		}
		if known != nil {
			refusal = nil
		} else if refusal == nil {
			if refusal, err = l.reserve(ctx, tx, call, day, in); err != nil || refusal == nil {
				return err
			}
		}
		if call != 0 {
			_, err = l.exec(ctx, tx, `DELETE FROM calls WHERE id = $1`, call)
		}
		return err
	})
	if err != nil {
		return 0, nil, fmt.Errorf("record a call: %w", err)
	}
	return call, known, refusal
}

// answer is the one that is kept under the name of a call that is about to be made; nil is none.
func (l *Ledger) answer(ctx context.Context, tx *batch, in Intent) (*Answer, error) {
	var a Answer
	var cost sql.NullInt64
	err := l.row(ctx, tx, `SELECT content, finish_reason, model, endpoint, tokens_in, tokens_cached, tokens_out, cost_nano FROM answers
		WHERE name = $1 AND created_at >= $2`, in.Name, sinceMillis(in.Since)).
		Scan(&a.Content, &a.FinishReason, &a.Model, &a.Endpoint, &a.TokensIn, &a.TokensCached, &a.TokensOut, &cost)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	case cost.Valid:
		a.CostNano = &cost.Int64
	}
	return &a, nil
}

func orZero(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

// EndCall books a call that brought an answer; the answer is kept under the request's name, whatever becomes of the
// document.
func (l *Ledger) EndCall(ctx context.Context, call int64, in Intent, a Answer) error {
	return l.endCall(ctx, call, in, "ok", a, func(ctx context.Context, tx *batch) error {
		_, err := l.exec(ctx, tx, `INSERT INTO answers (name, content, finish_reason, model, endpoint, tokens_in, tokens_cached, tokens_out, cost_nano, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, @now) ON CONFLICT (name) DO UPDATE SET content = excluded.content,
			finish_reason = excluded.finish_reason, model = excluded.model, endpoint = excluded.endpoint, tokens_in = excluded.tokens_in,
			tokens_cached = excluded.tokens_cached, tokens_out = excluded.tokens_out, cost_nano = excluded.cost_nano, created_at = excluded.created_at`,
			in.Name, a.Content, a.FinishReason, a.Model, a.Endpoint, a.TokensIn, a.TokensCached, a.TokensOut, nullable(a.CostNano))
		return err
	})
}

// FailCall books a call that brought no answer. used is what it is known or, after a timeout, assumed to have cost.
func (l *Ledger) FailCall(ctx context.Context, call int64, in Intent, class string, used Answer) error {
	return l.endCall(ctx, call, in, class, used, nil)
}

// DropCall takes back the intent of a call that is not made after all.
func (l *Ledger) DropCall(ctx context.Context, call int64, in Intent) error {
	err := l.group.do(ctx, func(ctx context.Context, tx *batch) error {
		var day int64
		err := l.row(ctx, tx, `DELETE FROM calls WHERE id = $1 AND finished_at IS NULL RETURNING started_at / 86400000`, call).Scan(&day)
		if errors.Is(err, sql.ErrNoRows) { // a lapsed worker's, which counts
			return nil
		}
		if err != nil {
			return err
		}
		return l.settleBudget(ctx, tx, in.Run, day, -orZero(in.ReservedNano), -in.ReservedTokens)
	})
	if err != nil {
		return fmt.Errorf("take a call back: %w", err)
	}
	return nil
}

func (l *Ledger) endCall(ctx context.Context, call int64, in Intent, class string, a Answer, keep func(context.Context, *batch) error) error {
	err := l.group.do(ctx, func(ctx context.Context, tx *batch) error {
		close := func(which string) (day int64, err error) {
			err = l.row(ctx, tx, `UPDATE calls SET finished_at = @now, class = $1, endpoint = $2, tokens_in = $3, tokens_cached = $4, tokens_out = $5, cost_nano = $6
				WHERE id = $7`+which+` RETURNING started_at / 86400000`, class, a.Endpoint, a.TokensIn, a.TokensCached, a.TokensOut, nullable(a.CostNano), call).Scan(&day)
			return day, err
		}
		booked, bookedTokens := orZero(in.ReservedNano), in.ReservedTokens
		day, err := close(` AND finished_at IS NULL`)
		if errors.Is(err, sql.ErrNoRows) {
			// A lapsed worker's call was closed at its reservation; the true figures replace that when they come after all.
			var cost sql.NullInt64
			if err := l.row(ctx, tx, `SELECT cost_nano, tokens_in + tokens_out FROM calls WHERE id = $1`, call).Scan(&cost, &bookedTokens); err != nil {
				return err
			}
			booked = cost.Int64
			day, err = close("")
		}
		if err != nil {
			return err
		}
		if err := l.settleBudget(ctx, tx, in.Run, day, orZero(a.CostNano)-booked, a.TokensIn+a.TokensOut-bookedTokens); err != nil {
			return err
		}
		if keep != nil {
			return keep(ctx, tx)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("book a call: %w", err)
	}
	return nil
}

// ForgetAnswers drops answers that turned out to be of no use, so that a later try asks again.
func (l *Ledger) ForgetAnswers(ctx context.Context, names []string) error {
	for _, name := range names {
		if _, err := l.exec(ctx, l.write, `DELETE FROM answers WHERE name = $1`, name); err != nil {
			return fmt.Errorf("forget an answer: %w", err)
		}
	}
	return nil
}

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// callStart is a reservation that waits for its transaction, with the outcome.
type callStart struct {
	Reservation
	call     CallID // 0: not recorded
	day      int64  // of its start, in days since 1970
	reserved bool   // counted against the budgets
	known    *Answer
	refusal  error
}

// beginCalls records the calls of a batch. Calls of the same name are handled one after the other,
// each after the previous one was granted or refused.
func (l *Ledger) beginCalls(ctx context.Context, tx *batch) error {
	// Transactions that start equal calls wait for each other. In the order of names they never
	// deadlock.
	slices.SortStableFunc(tx.starts, func(a, b *callStart) int { return strings.Compare(a.Name, b.Name) })
	var left []*callStart
	for _, b := range tx.starts {
		b.call, b.known, b.refusal = 0, nil, nil
		if tx.leases[b.Worker] {
			left = append(left, b)
		} else {
			b.refusal = ErrLapsed
		}
	}
	for len(left) > 0 {
		var first, equal []*callStart
		for i, b := range left {
			if i > 0 && b.Name == left[i-1].Name {
				equal = append(equal, b)
			} else {
				first = append(first, b)
			}
		}
		for some := range sqldb.Chunks(first) {
			if err := l.beginSome(ctx, tx, some); err != nil {
				return err
			}
		}
		left = equal
	}
	return nil
}

// beginSome records calls of different names.
func (l *Ledger) beginSome(ctx context.Context, tx *batch, some []*callStart) error {
	if err := l.insertReservations(ctx, tx, some); err != nil {
		return err
	}
	for _, b := range some {
		if b.call == 0 {
			if err := l.findReservation(ctx, tx, b); err != nil {
				return err
			}
		}
	}
	// After the insert: it waits for a transaction that is ending an equal call.
	if err := l.findAnswers(ctx, tx, some); err != nil {
		return err
	}
	var dropped []any
	for _, b := range some {
		var err error
		switch {
		case b.reserved:
			b.known = nil
		case b.known != nil:
		case b.call == 0:
			b.refusal = ErrBusy
		default:
			b.refusal, err = l.reserve(ctx, tx, b, some)
			b.reserved = b.refusal == nil
		}
		if err != nil {
			return err
		}
		if b.call != 0 && !b.reserved {
			dropped = append(dropped, b.call)
		}
	}
	if len(dropped) == 0 {
		return nil
	}
	for _, b := range some {
		if !b.reserved {
			b.call = 0
		}
	}
	_, err := tx.Exec(ctx, `DELETE FROM calls WHERE id IN (`+sqldb.Placeholders(1, len(dropped))+`)`, dropped...)
	return err
}

func (l *Ledger) insertReservations(ctx context.Context, tx *batch, some []*callStart) error {
	byName := make(map[string]*callStart, len(some))
	args := make([]any, 0, 8*len(some))
	for _, b := range some {
		b.day, b.reserved = 0, false
		byName[b.Name] = b
		args = append(args, b.Run, b.Document, b.Worker, b.Name, b.Model, nullable(b.ReservedNano), b.ReservedTokens, b.Token)
	}
	type put struct {
		name string
		call CallID
		day  int64
	}
	begun, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (p put, err error) { return p, rows.Scan(&p.name, &p.call, &p.day) },
		l.db.ValuesCTE(len(some), "run BIGINT, document BIGINT, worker BIGINT, name TEXT, model TEXT, nano BIGINT, tokens BIGINT, token BIGINT")+`
		INSERT INTO calls (run_num, document_id, worker_id, name, model, started_at, reserved_nano, reserved_tokens, token)
		SELECT run, document, worker, name, model, @now, nano, tokens, token FROM args WHERE true
		ON CONFLICT (name) WHERE finished_at IS NULL DO NOTHING RETURNING name, id, started_at / 86400000`, args...)
	for _, p := range begun {
		byName[p.name].call, byName[p.name].day = p.call, p.day
	}
	return err
}

// findReservation finds a call that an earlier try recorded and reserved, and whose reply was lost.
func (l *Ledger) findReservation(ctx context.Context, tx *batch, b *callStart) error {
	err := tx.QueryRow(ctx, `SELECT id FROM calls WHERE name = $1 AND finished_at IS NULL AND token = $2 AND token <> 0`, b.Name, b.Token).Scan(&b.call)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	b.reserved = err == nil
	return err
}

// findAnswers finds the answers that the ledger has under the names of calls.
func (l *Ledger) findAnswers(ctx context.Context, tx *batch, some []*callStart) error {
	byName := make(map[string]*callStart, len(some))
	names := make([]any, len(some))
	for i, b := range some {
		byName[b.Name], names[i] = b, b.Name
	}
	rows, err := tx.Query(ctx, `SELECT name, content, finish_reason, model, endpoint, tokens_in, tokens_cached, tokens_out, cost_nano, created_at
		FROM answers WHERE name IN (`+sqldb.Placeholders(1, len(names))+`)`, names...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var a Answer
		var cost sql.NullInt64
		var created int64
		if err := rows.Scan(&name, &a.Content, &a.FinishReason, &a.Model, &a.Endpoint, &a.TokensIn, &a.TokensCached, &a.TokensOut, &cost, &created); err != nil {
			return err
		}
		if cost.Valid {
			a.CostNano = &cost.Int64
		}
		if b := byName[name]; created >= sinceMillis(b.Since) {
			b.known = &a
		}
	}
	return rows.Err()
}

// unreserved lists the calls that have a row and whose reservation is not counted yet.
func unreserved(some []*callStart) []any {
	var calls []any
	for _, b := range some {
		if b.call != 0 && !b.reserved {
			calls = append(calls, b.call)
		}
	}
	return calls
}

package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// callEnd is the end of a call that waits for its transaction. Only an answer is stored.
type callEnd struct {
	Reservation
	Answer
	call  CallID
	class Class
}

// endCalls books the ends of the calls of a batch.
func (l *Ledger) endCalls(ctx context.Context, tx *batch) error {
	// Transactions that store equal answers wait for each other. In the order of names they never
	// deadlock.
	slices.SortStableFunc(tx.ends, func(a, b *callEnd) int { return strings.Compare(a.Name, b.Name) })
	for some := range sqldb.Chunks(tx.ends) {
		open, err := l.closeCalls(ctx, tx, some)
		if err != nil {
			return err
		}
		change := map[capsKey]amount{}
		for _, e := range some {
			day, booked := open[e.call], amount{orZero(e.ReservedNano), e.ReservedTokens}
			delete(open, e.call) // a second end corrects the first
			if day == 0 {
				if day, booked, err = l.correctCall(ctx, tx, e); err != nil {
					return err
				}
			}
			key := capsKey{e.Run, day}
			change[key] = change[key].plus(orZero(cmp.Or(e.CostNano, e.ReservedNano))-booked.nano, e.TokensIn+e.TokensOut-booked.tokens)
		}
		if err := l.adjustBudgets(ctx, tx, change); err != nil {
			return err
		}
	}
	var answered []*callEnd
	for i, e := range tx.ends {
		// Only the last one of equal answers is stored.
		again := i+1 < len(tx.ends) && tx.ends[i+1].Name == e.Name && tx.ends[i+1].class == ClassOK
		if e.class == ClassOK && !again {
			answered = append(answered, e)
		}
	}
	for some := range sqldb.Chunks(answered) {
		if err := l.keepAnswers(ctx, tx, some); err != nil {
			return err
		}
	}
	return nil
}

// amount is an amount of money and tokens.
type amount struct{ nano, tokens int64 }

func (a amount) plus(nano, tokens int64) amount { return amount{a.nano + nano, a.tokens + tokens} }

// adjustBudgets adds amounts to what their days and runs have spent.
func (l *Ledger) adjustBudgets(ctx context.Context, tx *batch, change map[capsKey]amount) error {
	keys := make([]capsKey, 0, len(change))
	for key := range change {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b capsKey) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.run, b.run)) })
	for _, key := range keys {
		if err := l.adjustBudget(ctx, tx, key.run, key.day, change[key].nano, change[key].tokens); err != nil {
			return err
		}
	}
	return nil
}

// closeCalls ends calls that are open, and returns the days on which they started.
func (l *Ledger) closeCalls(ctx context.Context, tx *batch, some []*callEnd) (days map[CallID]int64, err error) {
	args := make([]any, 0, 8*len(some))
	for _, e := range some {
		args = append(args, e.call, string(e.class), e.Endpoint, e.TokensIn, e.TokensCached, e.TokensOut, nullable(e.CostNano), e.Tier)
	}
	type closed struct {
		call CallID
		day  int64
	}
	ended, err := sqldb.Collect(ctx, tx, func(rows *sql.Rows) (c closed, err error) { return c, rows.Scan(&c.call, &c.day) },
		l.db.ValuesCTE(len(some), "call BIGINT, class TEXT, endpoint TEXT, tokens_in BIGINT, tokens_cached BIGINT, tokens_out BIGINT, nano BIGINT, tier TEXT")+`
		UPDATE calls SET finished_at = @now, class = args.class, endpoint = args.endpoint, tokens_in = args.tokens_in,
		tokens_cached = args.tokens_cached, tokens_out = args.tokens_out, cost_nano = args.nano, tier = args.tier
		FROM args WHERE calls.id = args.call AND calls.finished_at IS NULL RETURNING calls.id, calls.started_at / 86400000`, args...)
	days = make(map[CallID]int64, len(some))
	for _, c := range ended {
		days[c.call] = c.day
	}
	return days, err
}

// correctCall books the end of a call that has ended. The calls of a lapsed worker end at their
// reservations; the true numbers replace these when they arrive.
func (l *Ledger) correctCall(ctx context.Context, tx *batch, e *callEnd) (day int64, booked amount, err error) {
	var cost sql.NullInt64
	if err := tx.QueryRow(ctx, `SELECT COALESCE(cost_nano, reserved_nano), tokens_in + tokens_out FROM calls WHERE id = $1`, e.call).Scan(&cost, &booked.tokens); err != nil {
		return 0, booked, err
	}
	booked.nano = cost.Int64
	err = tx.QueryRow(ctx, `UPDATE calls SET finished_at = @now, class = $1, endpoint = $2, tokens_in = $3, tokens_cached = $4, tokens_out = $5, cost_nano = $6,
		tier = $7 WHERE id = $8 RETURNING started_at / 86400000`, string(e.class), e.Endpoint, e.TokensIn, e.TokensCached, e.TokensOut, nullable(e.CostNano), e.Tier, e.call).Scan(&day)
	return day, booked, err
}

// keepAnswers stores answers of different names.
func (l *Ledger) keepAnswers(ctx context.Context, tx *batch, some []*callEnd) error {
	args := make([]any, 0, 9*len(some))
	for _, e := range some {
		args = append(args, e.Name, e.Content, e.FinishReason, e.Answer.Model, e.Endpoint, e.TokensIn, e.TokensCached, e.TokensOut, nullable(e.CostNano))
	}
	_, err := tx.Exec(ctx, l.db.ValuesCTE(len(some), "name TEXT, content TEXT, finish_reason TEXT, model TEXT, endpoint TEXT, tokens_in BIGINT, tokens_cached BIGINT, tokens_out BIGINT, nano BIGINT")+`
		INSERT INTO answers (name, content, finish_reason, model, endpoint, tokens_in, tokens_cached, tokens_out, cost_nano, created_at)
		SELECT name, content, finish_reason, model, endpoint, tokens_in, tokens_cached, tokens_out, nano, @now FROM args WHERE true
		ON CONFLICT (name) DO UPDATE SET content = excluded.content,
		finish_reason = excluded.finish_reason, model = excluded.model, endpoint = excluded.endpoint, tokens_in = excluded.tokens_in,
		tokens_cached = excluded.tokens_cached, tokens_out = excluded.tokens_out, cost_nano = excluded.cost_nano, created_at = excluded.created_at`, args...)
	return err
}

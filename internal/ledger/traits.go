package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Traits is what was learned of a model at an endpoint. Its Hash is its key. The ledger does not
// look into the Body.
type Traits struct {
	Hash, Host, Model, Body string
	Changed                 time.Time
}

// Traits returns what was learned of all models at all endpoints, in the order of host and model.
func (l *Ledger) Traits(ctx context.Context) ([]Traits, error) {
	all, err := sqldb.Collect(ctx, l.read, func(rows *sql.Rows) (t Traits, err error) {
		var changed sql.NullInt64
		err = rows.Scan(&t.Hash, &t.Host, &t.Model, &t.Body, &changed)
		t.Changed = sqldb.Time(changed)
		return t, err
	}, `SELECT hash, host, model, body, changed_at FROM traits ORDER BY host, model, hash`)
	if err != nil {
		return nil, fmt.Errorf("read what was learned of endpoints: %w", err)
	}
	return all, nil
}

// ChangeTraits replaces the Body of t with what change makes of the stored one, which is empty at
// first, and returns it. Processes that change the same traits wait for each other, so no change is
// lost. change may be called more than once.
func (l *Ledger) ChangeTraits(ctx context.Context, t Traits, change func(body string) (string, error)) (string, error) {
	var body string
	err := l.db.Tx(ctx, func(tx sqldb.Handle) error {
		if _, err := tx.Exec(ctx, `INSERT INTO traits (hash, host, model, body, changed_at) VALUES ($1, $2, $3, '', @now) ON CONFLICT DO NOTHING`,
			t.Hash, t.Host, t.Model); err != nil {
			return err
		}
		var old string
		err := tx.QueryRow(ctx, `SELECT body FROM traits WHERE hash = $1 `+l.db.RowLock(), t.Hash).Scan(&old)
		if err != nil {
			return err
		}
		if body, err = change(old); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE traits SET body = $1, changed_at = @now WHERE hash = $2`, body, t.Hash)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("store what was learned of %s: %w", t.Host, err)
	}
	return body, nil
}

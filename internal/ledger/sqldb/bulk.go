package sqldb

import (
	"context"
	"database/sql"
)

// BulkTx is a transaction that can load many rows at once.
type BulkTx struct {
	Handle
	conn *sql.Conn
	tx   *sql.Tx
}

// BulkTx is [DB.Tx] with a transaction that can load many rows at once.
func (db *DB) BulkTx(ctx context.Context, f func(tx BulkTx) error) error {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return db.tryTx(ctx, conn, func(tx *sql.Tx) error { return f(BulkTx{Handle{db, tx}, conn, tx}) })
}

// FillTemp makes an empty temporary table and loads n rows into it; fill sets row i. definition
// lists the columns with their types. The table may be gone after the transaction.
func (t BulkTx) FillTemp(ctx context.Context, table, definition string, columns []string, n int, fill func(i int, row []any)) error {
	return t.db.dialect.fillTemp(ctx, t.conn, t.tx, table, definition, columns, n, fill)
}

// Insert loads n rows into a table; fill sets row i.
func (t BulkTx) Insert(ctx context.Context, table string, columns []string, n int, fill func(i int, row []any)) error {
	return t.db.dialect.insert(ctx, t.conn, t.tx, table, columns, n, fill)
}

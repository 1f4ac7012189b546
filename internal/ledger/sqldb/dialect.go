package sqldb

import (
	"context"
	"database/sql"
	"time"
)

// dialect is what differs between the two databases. All else is one SQL for both.
type dialect interface {
	now() string                   // time in Unix milliseconds, as an expression
	skipLocked() string            // see DB.fill
	share() string                 // see DB.fill
	rowLock() string               // see DB.RowLock
	indexedBy(index string) string // see DB.IndexedBy
	lockTable(table string) string // a statement, or empty
	identity() string              // type of a key that is counted up and never used again
	withoutRowID() string
	committers() int // see DB.Committers
	// rows is "(…),(…)", rows of parameters of these types.
	rows(rows int, types []string) string
	bound(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) // see DB.Bound
	// isDeadlock reports whether the database rolled a transaction back in favor of others, so that it
	// may be tried again.
	isDeadlock(err error) bool
	// lockSchema makes processes that migrate at once wait for each other.
	lockSchema(ctx context.Context, tx *sql.Tx) error
	// fillTemp makes an empty temporary table and loads rows into it.
	fillTemp(ctx context.Context, conn *sql.Conn, tx *sql.Tx, table, definition string, columns []string, n int, fill fill) error
	// insert loads rows into a table.
	insert(ctx context.Context, conn *sql.Conn, tx *sql.Tx, table string, columns []string, n int, fill fill) error
}

// fill sets row i of those to load: row has one place for each column.
type fill = func(i int, row []any)

package ledger

import (
	"context"
	"database/sql"
	"time"
)

// dialect is what differs between the two databases. Everything else is one SQL for both.
type dialect interface {
	name() string
	now() string        // ledger time in Unix milliseconds, as an expression
	skipLocked() string // after a SELECT whose rows are about to be updated, but for those that another transaction updates
	lock() string       // the same, with those: one after the other, in the order of the SELECT
	share() string      // after a SELECT whose row is not to change before the transaction ends
	identity() string   // column type of a key that the database counts up and never uses again
	withoutRowID() string
	committers() int // transactions of small writes at once
	// values is "(…),(…)", rows of parameters of these types.
	values(rows int, types []string) string
	// bound is the context of statements that are short: the time is for a server that has stopped to answer.
	bound(ctx context.Context, t time.Duration) (context.Context, context.CancelFunc)
	openCalls() string // after the table calls, where the calls in flight are few among many
	// gaveUp says that the database has undone a whole transaction in favour of others, and that it may be tried again.
	gaveUp(err error) bool
	lockSchema(ctx context.Context, tx *sql.Tx) error
	// lockCalls waits until all transactions that have booked calls are over, and keeps others from it until tx ends.
	lockCalls(ctx context.Context, tx *sql.Tx) error
	// stage makes the empty temporary table `stage` and fills it with the entries of a plan's batch, within tx.
	stage(ctx context.Context, conn *sql.Conn, tx *sql.Tx, entries []Entry) error
	// insertPlanned bulk-inserts new pending rows of a run.
	insertPlanned(ctx context.Context, conn *sql.Conn, tx *sql.Tx, run RunID, scan int64, rows []planned) error
}

// planned is a document that joins a run as pending.
type planned struct {
	document  DocumentID
	partition PartitionID
}

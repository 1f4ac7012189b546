// Package ledger is the book of record: which documents there are, what became of each, what every
// call cost, and who is working on what. It runs on SQLite and on PostgreSQL behind one set of
// methods and one conformance suite.
//
// It owns every state change of runs, partitions and documents, claims with their epochs and leases, and
// the accounts. It refuses to own the queue (a view of it that can be rebuilt), the text of sources
// (never stored), and any decision of what an error means.
//
// All times it compares are ledger time: the clock of the database, never a worker's.
package ledger

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Lease is how long a claim holds without renewal. Renew at a third of it.
const Lease = 30 * time.Second

// PlanLease is how long a planner may be silent before another takes over.
const PlanLease = 15 * time.Second

// PlanRenew is how often a planner renews its lease: who waits somewhat longer sees whether it lives.
const PlanRenew = 2 * time.Second

var (
	// ErrNotFound says that no such run, document or dead letter is in the ledger.
	ErrNotFound = errors.New("not in the ledger")
	// ErrStale refuses an outcome of a claim that another worker has taken over or that was released.
	ErrStale = errors.New("stale claim: the document was taken over")
	// ErrLapsed refuses a claim or a call of a worker whose lease has lapsed and whose claims were freed: it has to renew first.
	ErrLapsed = errors.New("the worker's lease has lapsed and what it held was freed")
	// ErrPlanning says that another process holds the planning lease of the pair.
	ErrPlanning = errors.New("another process is planning this source and profile")
	// ErrBusy says that a call of the same name is being made by another worker.
	ErrBusy = errors.New("the same call is in flight elsewhere")
	// ErrBudget says that a call's reservation does not fit into what is settled of the run's budget.
	ErrBudget = errors.New("the budget of the run is reached")
	// ErrNewer refuses a ledger that a newer program has migrated.
	ErrNewer = sqldb.ErrNewer
	// ErrState refuses a change that the run's state does not allow.
	ErrState = errors.New("the run's state does not allow this")
)

// Options of [Open]. The zero value is good.
type Options struct {
	Connections int              // at most, per process; 0 is 4
	Logger      *slog.Logger     // nil discards
	Now         func() time.Time // replaces ledger time, for tests
}

// Ledger is safe for concurrent use by goroutines, and by any number of processes on one database.
type Ledger struct {
	db          *sqldb.DB
	read, write sqldb.Handle // of db
	commits     *groupCommit
	log         *slog.Logger
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens `sqlite:PATH` or `postgres://…`, and brings its schema up to date. Processes that start
// at once wait for each other. It fails with [ErrNewer] when a newer program has changed the schema,
// and with an error that [IsUnavailable] recognizes while the server does not answer. Close the ledger
// after use.
func Open(ctx context.Context, url string, o Options) (*Ledger, error) {
	db, err := sqldb.Open(ctx, url, sqldb.Options{Connections: o.Connections, Now: o.Now})
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err == nil {
		err = db.Migrate(ctx, files)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	l := &Ledger{db: db, read: db.Reads(), write: db.Writes(), log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler))}
	l.commits = newGroupCommit(l)
	return l, nil
}

// IsFull reports whether an error means that the ledger's disk has no room left.
func IsFull(err error) bool { return sqldb.IsFull(err) }

// IsUnavailable reports whether an error means that the ledger's server cannot be reached, is starting
// up, or has no connection left: a later try may succeed.
func IsUnavailable(err error) bool { return sqldb.IsUnavailable(err) }

// Close waits for writes in progress and closes the connections.
func (l *Ledger) Close() error {
	l.commits.close()
	return l.db.Close()
}

// Ping asks the database for an answer.
func (l *Ledger) Ping(ctx context.Context) error { return l.db.Ping(ctx) }

// Now returns ledger time.
func (l *Ledger) Now(ctx context.Context) (time.Time, error) {
	var ms int64
	if err := l.read.QueryRow(ctx, "SELECT @now").Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("read ledger time: %w", err)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// Reader returns a handle that reads the database, for internal/ledger/report.
func (l *Ledger) Reader() sqldb.Reader { return l.read }

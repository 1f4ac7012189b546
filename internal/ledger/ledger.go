// Package ledger is the source of truth: a row for every document, its outcome, the cost of every
// call, and which worker holds what. It runs on SQLite and on PostgreSQL behind one set of methods
// and one conformance suite.
//
// It owns every state change of runs, partitions and documents, claims with their epochs and
// leases, call records and budgets. It refuses to own the queue (a view of the ledger that can be
// rebuilt), the text of sources (never stored), and the meaning of errors.
//
// All times that it compares are ledger time: the clock of the database, never a worker's.
//
// Besides the sentinel errors that it names, every method fails when the database does: see
// [IsFull] and [IsUnavailable].
package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Lease is how long a worker keeps its claims without renewal. Renew it at a third of this time.
const Lease = 30 * time.Second

// PlanLease is how long a planner keeps its planning lease without renewal.
const PlanLease = 15 * time.Second

// PlanRenew is how often a planner renews its lease. A process that waits a little longer than this
// sees whether the planner lives.
const PlanRenew = 2 * time.Second

var (
	// ErrNotFound reports that the ledger has no such run, partition, profile or summary.
	ErrNotFound = errors.New("not in the ledger")
	// ErrStale refuses an outcome of a claim that was released or that another worker has taken over.
	ErrStale = errors.New("stale claim: the document was taken over")
	// ErrLapsed refuses a claim or a call of a worker whose lease has lapsed and whose claims were
	// released: the worker must renew its lease first.
	ErrLapsed = errors.New("the worker's lease has lapsed and its claims were released")
	// ErrPlanning reports that another process holds the planning lease of the source and profile.
	ErrPlanning = errors.New("another process is planning this source and profile")
	// ErrBusy reports that a call of the same name is in flight.
	ErrBusy = errors.New("the same call is in flight elsewhere")
	// ErrBudget refuses a call whose reservation does not fit into the budget, even after all calls in
	// flight have ended at no cost.
	ErrBudget = errors.New("the budget of the run is used up")
	// ErrNewer refuses a ledger that a newer program has migrated.
	ErrNewer = sqldb.ErrNewer
	// ErrOlder refuses to read a ledger that an older program has made.
	ErrOlder = sqldb.ErrOlder
	// ErrMissing reports that there is no ledger, or one without tables.
	ErrMissing = sqldb.ErrMissing
	// ErrState refuses a change that the run's state does not allow.
	ErrState = errors.New("the run's state does not allow this")
)

// Options of [Open]. The zero value is good.
type Options struct {
	Connections int              // at most, per process; 0 is 4
	Now         func() time.Time // replaces ledger time, for tests
	Access      Access
}

// Access is what [Open] may do to a ledger.
type Access = sqldb.Access

// The ways to open a ledger.
const (
	// AccessCreate makes the file of SQLite and its folder if they do not exist.
	AccessCreate = sqldb.AccessCreate
	// AccessChange needs a ledger that exists, and brings its schema up to date.
	AccessChange = sqldb.AccessChange
	// AccessRead needs a ledger that exists, and writes nothing: methods that write fail.
	AccessRead = sqldb.AccessRead
	// AccessMemory opens an empty ledger in memory, whatever the URL. It ends with Close.
	AccessMemory = sqldb.AccessMemory
)

// Ledger is safe for concurrent use by goroutines, and by any number of processes on one database.
type Ledger struct {
	db          *sqldb.DB
	read, write sqldb.Handle // of db
	commits     *groupCommit
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens `sqlite:PATH` or `postgres://…`, and brings its schema up to date unless it only
// reads. Processes that start at once wait for each other. It fails with [ErrNewer] when a newer
// program has changed the schema, with [ErrMissing] or [ErrOlder] as its access requires, and with
// an error that [IsUnavailable] recognizes while the server does not answer. Close the ledger after
// use.
func Open(ctx context.Context, url string, o Options) (*Ledger, error) {
	db, err := sqldb.Open(ctx, url, sqldb.Options{Connections: o.Connections, Now: o.Now, Access: o.Access})
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	switch {
	case err != nil:
	case o.Access == AccessRead:
		err = db.Check(ctx, files)
	default:
		err = db.Migrate(ctx, files)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	l := &Ledger{db: db, read: db.Reads(), write: db.Writes()}
	l.commits = newGroupCommit(l)
	return l, nil
}

// Place is the ledger's name for people, without a password: the absolute path of a file, or host
// and database.
func (l *Ledger) Place() string { return l.db.Place() }

// Created reports whether [Open] made the file of a SQLite ledger.
func (l *Ledger) Created() bool { return l.db.Created() }

// IsFull reports whether an error means that the ledger's disk has no room left.
func IsFull(err error) bool { return sqldb.IsFull(err) }

// IsUnavailable reports whether an error means that the ledger's server cannot be reached, is
// starting up, or has no connection left: a later try may succeed.
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

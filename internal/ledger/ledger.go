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
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
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
	ErrNewer = errors.New("the ledger was written by a newer gistmill; use that version or newer")
	// ErrState refuses a change that the run's state does not allow.
	ErrState = errors.New("the run's state does not allow this")
)

// Options of Open. The zero value is good.
type Options struct {
	Connections int              // at the most, per process; 0 is 4
	Logger      *slog.Logger     // nil discards
	Now         func() time.Time // replaces ledger time, for tests
}

// Ledger is safe for concurrent use by goroutines, and by any number of processes on one database.
type Ledger struct {
	dialect dialect
	write   *sql.DB
	read    *sql.DB
	group   *group
	now     func() time.Time
	log     *slog.Logger
}

// Open opens `sqlite:PATH` or `postgres://…`, and brings its schema up to date. Processes that start at
// once wait for each other. Close it after use.
func Open(ctx context.Context, url string, o Options) (*Ledger, error) {
	o.Connections = cmp.Or(o.Connections, 4)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Ledger{now: o.Now, log: o.Logger}
	var err error
	switch {
	case strings.HasPrefix(url, "sqlite:"):
		l.dialect = sqliteDialect{}
		l.write, l.read, err = openSQLite(ctx, strings.TrimPrefix(url, "sqlite:"), o.Connections)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		l.dialect = postgresDialect{}
		l.write, err = openPostgres(ctx, url, o.Connections)
		l.read = l.write
	default:
		return nil, fmt.Errorf("ledger %q: want sqlite:PATH or postgres://user@host/database", scheme(url))
	}
	if err != nil {
		return nil, err
	}
	if err := l.migrate(ctx); err != nil {
		return nil, errors.Join(err, l.closeDB())
	}
	l.group = newGroup(l)
	return l, nil
}

// scheme is what of a URL may be shown: the rest may hold a password.
func scheme(url string) string {
	if i := strings.Index(url, ":"); i >= 0 {
		return url[:i] + ":…"
	}
	return url
}

// Close waits for writes under way and closes the connections.
func (l *Ledger) Close() error {
	l.group.close()
	return l.closeDB()
}

func (l *Ledger) closeDB() error {
	if l.read != l.write {
		return errors.Join(l.read.Close(), l.write.Close())
	}
	return l.write.Close()
}

// Ping asks the database for an answer.
func (l *Ledger) Ping(ctx context.Context) error {
	var one int
	return l.read.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// Now is the ledger's time.
func (l *Ledger) Now(ctx context.Context) (time.Time, error) {
	var ms int64
	if err := l.read.QueryRowContext(ctx, l.sql("SELECT @now")).Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("read ledger time: %w", err)
	}
	return time.UnixMilli(ms).UTC(), nil
}

// sql fills the dialect's words into a statement: @now, @skip_locked, @share, @open_calls.
func (l *Ledger) sql(statement string) string {
	now := l.dialect.now()
	if l.now != nil {
		now = "CAST(" + strconv.FormatInt(l.now().UnixMilli(), 10) + " AS BIGINT)"
	}
	statement = strings.ReplaceAll(statement, "@now", now)
	statement = strings.ReplaceAll(statement, "@open_calls", l.dialect.openCalls())
	statement = strings.ReplaceAll(statement, "@share", l.dialect.share())
	return strings.ReplaceAll(statement, "@skip_locked", l.dialect.skipLocked())
}

// queryer is a connection, a transaction or a pool.
type queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (l *Ledger) exec(ctx context.Context, q queryer, statement string, args ...any) (int64, error) {
	result, err := q.ExecContext(ctx, l.sql(statement), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (l *Ledger) row(ctx context.Context, q queryer, statement string, args ...any) *sql.Row {
	return q.QueryRowContext(ctx, l.sql(statement), args...)
}

// collect reads all rows of a query that is known to be short.
func collect[T any](ctx context.Context, l *Ledger, q queryer, scan func(*sql.Rows) (T, error), statement string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, l.sql(statement), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// begins is what transactions are begun on: the pool, or a connection of it.
type begins interface {
	BeginTx(ctx context.Context, options *sql.TxOptions) (*sql.Tx, error)
}

// tx runs f in a transaction of its own, and in another one when the database gave it up.
func (l *Ledger) tx(ctx context.Context, f func(tx *sql.Tx) error) error {
	return l.txOn(ctx, l.write, f)
}

// txTries bounds how often a transaction is begun that ends in a deadlock: each time the other one of the circle goes on.
const txTries = 10

func (l *Ledger) txOn(ctx context.Context, on begins, f func(tx *sql.Tx) error) error {
	for tries := 1; ; tries++ {
		err := once(ctx, on, f)
		if err == nil || tries == txTries || !l.dialect.gaveUp(err) {
			return err
		}
	}
}

func once(ctx context.Context, on begins, f func(tx *sql.Tx) error) error {
	tx, err := on.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// placeholders is "$from,$from+1,…", n of them.
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(from + i))
	}
	return b.String()
}

// values is "($1,$2),($3,$4)…" for a multi-row statement, where from is 1.
func values(from, rows, columns int) string {
	var b strings.Builder
	for i := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		b.WriteString(placeholders(from+i*columns, columns))
		b.WriteByte(')')
	}
	return b.String()
}

func fromMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}

// Package sqldb runs one SQL on SQLite and on PostgreSQL. It owns drivers, connection pools,
// compiled statements, transactions and their retries, migrations, bulk loading, and the few words
// in which the two databases differ. It refuses to own tables other than schema_version: it knows
// nothing of runs or documents.
package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Options of [Open]. The zero value is good.
type Options struct {
	Connections int              // at most, per process; 0 is 4
	Now         func() time.Time // replaces the database's clock, for tests
	Access      Access
}

// Access is what [Open] may do to a database.
type Access int

// The ways to open a database. They differ for SQLite, whose database is a file.
const (
	AccessCreate Access = iota // make the file and its folder if they do not exist
	AccessChange               // write to a file that exists
	AccessRead                 // write nothing: no file, no folder, no row
	AccessMemory               // an empty SQLite database in memory, whatever the URL
)

// ErrMissing reports that there is no database: the SQLite file does not exist, or the database has
// no tables yet.
var ErrMissing = errors.New("no runs yet")

// DB is an open database. It is safe for concurrent use by goroutines, and by any number of
// processes on one database.
type DB struct {
	dialect dialect
	now     func() time.Time
	read    *sql.DB
	write   *sql.DB
	place   string // for people, without a password
	created bool
}

// Open opens `sqlite:PATH` or `postgres://…` and waits for the first connection. Close it after
// use.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	o.Connections = cmp.Or(o.Connections, 4)
	db := &DB{now: o.Now}
	var err error
	path, isSQLite := strings.CutPrefix(url, "sqlite:")
	switch {
	case o.Access == AccessMemory:
		db.dialect, db.place = sqliteDialect{}, "memory"
		db.write, err = openMemory(ctx)
		db.read = db.write
	case isSQLite:
		db.dialect = sqliteDialect{}
		err = db.openSQLite(ctx, path, o)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		db.dialect = postgresDialect{}
		db.write, db.place, err = openPostgres(ctx, url, o.Connections)
		db.read = db.write
	default:
		return nil, fmt.Errorf("ledger %q: want sqlite:PATH or postgres://user@host/database", scheme(url))
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// scheme is the part of a URL that may be shown: the rest may hold a password.
func scheme(url string) string {
	if i := strings.Index(url, ":"); i >= 0 {
		return url[:i] + ":…"
	}
	return url
}

// Place is the database's name for people: the absolute path of a file, or host and database.
func (db *DB) Place() string { return db.place }

// Created reports whether [Open] made the database's file.
func (db *DB) Created() bool { return db.created }

// Close closes all connections.
func (db *DB) Close() error {
	if db.read != db.write {
		return errors.Join(db.read.Close(), db.write.Close())
	}
	return db.write.Close()
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.read.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// Reads is the handle for statements that write nothing. On SQLite they do not wait for a writer.
func (db *DB) Reads() Handle { return Handle{db, db.read} }

// Writes is the handle for single statements that write. Each is a transaction of its own.
func (db *DB) Writes() Handle { return Handle{db, db.write} }

// Committers is the number of transactions of small writes that it is useful to run at once.
func (db *DB) Committers() int { return db.dialect.committers() }

// Bound returns a context for short statements. On PostgreSQL it ends with ctx, and after d at the
// latest, in case the server stopped answering. On SQLite it never ends: there is no server, locks
// have a timeout of their own, and for a context that can end the driver would start a goroutine
// for each statement.
func (db *DB) Bound(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return db.dialect.bound(ctx, d)
}

// RowLock is the clause after a SELECT that locks its rows in the order of the SELECT. It is empty
// on SQLite, where only one transaction writes.
func (db *DB) RowLock() string { return db.dialect.rowLock() }

// IndexedBy is the clause after a table's name that makes SQLite use an index: SQLite keeps no
// statistics and may choose another. It is empty on PostgreSQL.
func (db *DB) IndexedBy(index string) string { return db.dialect.indexedBy(index) }

// fill replaces the dialect's words in a statement:
//
//   - @now is the database's time in Unix milliseconds.
//   - @share, after a SELECT, keeps its row from changing until the transaction ends.
//   - @skip_locked, after a SELECT, locks its rows for an update and leaves out rows that another
//     transaction has locked.
func (db *DB) fill(statement string) string {
	now := db.dialect.now()
	if db.now != nil {
		now = "CAST(" + strconv.FormatInt(db.now().UnixMilli(), 10) + " AS BIGINT)"
	}
	statement = strings.ReplaceAll(statement, "@now", now)
	statement = strings.ReplaceAll(statement, "@share", db.dialect.share())
	return strings.ReplaceAll(statement, "@skip_locked", db.dialect.skipLocked())
}

// queryer is a pool or a transaction.
type queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Handle runs statements, in a transaction or each in one of its own. Parameters are $1, $2, …; a
// statement may contain the words @now, @share and @skip_locked. Arguments are what
// [database/sql/driver.DefaultParameterConverter] accepts; a named type such as ID int64 is one.
type Handle struct {
	db *DB
	on queryer
}

// Exec runs a statement and returns the number of rows that it changed.
func (h Handle) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := h.on.ExecContext(ctx, h.db.fill(statement), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Query runs a statement that returns rows.
func (h Handle) Query(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	return h.on.QueryContext(ctx, h.db.fill(statement), args...)
}

// QueryRow runs a statement that returns at most one row.
func (h Handle) QueryRow(ctx context.Context, statement string, args ...any) *sql.Row {
	return h.on.QueryRowContext(ctx, h.db.fill(statement), args...)
}

// IndexedBy is [DB.IndexedBy].
func (h Handle) IndexedBy(index string) string { return h.db.IndexedBy(index) }

// Reader is the part of a [Handle] that reads.
type Reader interface {
	Query(ctx context.Context, statement string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, statement string, args ...any) *sql.Row
	IndexedBy(index string) string
}

// Collect reads all rows of a query into memory, each with scan. It returns an empty slice, not
// nil, when there are none.
func Collect[T any](ctx context.Context, from Reader, scan func(*sql.Rows) (T, error), statement string, args ...any) ([]T, error) {
	rows, err := from.Query(ctx, statement, args...)
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

// maxTxTries bounds how often a transaction that ends in a deadlock is begun. Each time another
// transaction of the cycle proceeds.
const maxTxTries = 10

// Tx runs f in a transaction, and again in a new one after a deadlock: f must reset what it returns
// to its caller each time. An error of f rolls the transaction back.
func (db *DB) Tx(ctx context.Context, f func(tx Handle) error) error {
	return db.tryTx(ctx, db.write, func(tx *sql.Tx) error { return f(Handle{db, tx}) })
}

// LockTable waits until no transaction that changed the table is open, and keeps others from
// changing it until tx ends. On SQLite it does nothing, because only one transaction writes.
func (db *DB) LockTable(ctx context.Context, tx Handle, table string) error {
	if lock := db.dialect.lockTable(table); lock != "" {
		_, err := tx.Exec(ctx, lock)
		return err
	}
	return nil
}

// beginner is a pool, or one connection of it.
type beginner interface {
	BeginTx(ctx context.Context, options *sql.TxOptions) (*sql.Tx, error)
}

func (db *DB) tryTx(ctx context.Context, on beginner, f func(tx *sql.Tx) error) error {
	for tries := 1; ; tries++ {
		err := once(ctx, on, f)
		if err == nil || tries == maxTxTries || !db.dialect.isDeadlock(err) {
			return err
		}
	}
}

func once(ctx context.Context, on beginner, f func(tx *sql.Tx) error) error {
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

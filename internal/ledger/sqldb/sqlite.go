package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// sqliteRows is the number of rows in one multi-row statement: SQLite allows 32,766 parameters.
const sqliteRows = 1000

// checkpointPages is the number of pages of 4 KiB in the write-ahead log before a checkpoint moves
// them into the database. A checkpoint syncs the disk and delays the next write. The keys of most
// rows are hashes, so the same pages are written again soon: fewer checkpoints write less.
const checkpointPages = 4000

// openSQLite opens the file.
func (db *DB) openSQLite(ctx context.Context, path string, o Options) error {
	if path == "" {
		return errors.New("ledger sqlite: the path is missing; for example sqlite:.gistmill/ledger.db")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("find the ledger's path: %w", err)
	}
	db.place = abs
	_, err = os.Stat(abs)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing && o.Access != AccessCreate:
		return fmt.Errorf("no ledger at %s (set --store): %w", abs, ErrMissing)
	case o.Access == AccessRead:
		db.read, err = readSQLite(ctx, abs, o.Connections)
		db.write = db.read // every write is refused
		return err
	}
	db.created = missing
	db.write, db.read, err = writeSQLite(ctx, abs, o.Connections)
	return err
}

// writeSQLite opens one connection that writes and several that read. SQLite has one writer at a
// time, and a queue for it in this process is fairer than SQLite's busy handler.
func writeSQLite(ctx context.Context, path string, connections int) (write, read *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, nil, fmt.Errorf("make the ledger's folder: %w", err)
	}
	source := (&url.URL{Scheme: "file", Path: path}).String() +
		"?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)" +
		"&_pragma=cache_size(-16000)&_pragma=temp_store(FILE)" +
		fmt.Sprintf("&_pragma=wal_autocheckpoint(%d)", checkpointPages)
	write, err = openCaching(source + "&_txlock=immediate")
	if err != nil {
		return nil, nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := pingSQLite(ctx, write); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open ledger %s: %w", path, explainSQLite(err)), write.Close())
	}
	read, err = openCaching(source + "&_pragma=query_only(1)")
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open ledger %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(max(1, connections-1))
	read.SetMaxIdleConns(max(1, connections-1))
	return write, read, nil
}

// readSQLite opens a file without leaving a trace. A reader of a database with a write-ahead log
// needs the files -wal and -shm (https://sqlite.org/wal.html, "Read-Only Databases"):
//
//   - If it may write, it makes them, and removes them with its last connection.
//   - Otherwise it uses those of a program that is writing.
//   - If there is no log, no program is writing, and the file is read as one that does not change.
func readSQLite(ctx context.Context, path string, connections int) (*sql.DB, error) {
	var modes []string
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = file.Close()
		modes = append(modes, "mode=rw&_pragma=query_only(1)")
	}
	log, logErr := os.Stat(path + "-wal")
	_, indexErr := os.Stat(path + "-shm")
	switch {
	case logErr != nil || log.Size() == 0 && indexErr != nil:
		modes = append(modes, "immutable=1")
	case indexErr == nil:
		modes = append(modes, "mode=ro")
	}
	for _, mode := range modes {
		var db *sql.DB
		db, err = openCaching((&url.URL{Scheme: "file", Path: path}).String() + "?" + mode +
			"&_pragma=busy_timeout(20000)&_pragma=cache_size(-16000)&_pragma=temp_store(FILE)")
		if err != nil {
			break
		}
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		// Only a statement that reads a page opens the log.
		if _, err = db.ExecContext(ctx, `SELECT COUNT(*) FROM sqlite_schema`); err == nil {
			return db, nil
		}
		err = errors.Join(err, db.Close())
	}
	if len(modes) == 0 {
		return nil, fmt.Errorf("the ledger %s was not closed, and its log can only be read where this user may write: "+
			"run a command such as `gistmill status` there, or copy the folder", path)
	}
	return nil, fmt.Errorf("open ledger %s: %w", path, explainSQLite(err))
}

// openMemory opens an empty database that one connection keeps.
func openMemory(ctx context.Context) (*sql.DB, error) {
	db, err := openCaching("file::memory:?_pragma=temp_store(MEMORY)")
	if err != nil {
		return nil, fmt.Errorf("open a ledger in memory: %w", err)
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(0)
	return db, db.PingContext(ctx)
}

// pingSQLite opens the first connection. When several processes switch a new file to a write-ahead
// log at once, all but one get SQLITE_BUSY, and busy_timeout does not apply
// (sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode").
func pingSQLite(ctx context.Context, db *sql.DB) error {
	for tries := 0; ; tries++ {
		err := db.PingContext(ctx)
		var e *sqlite.Error
		if !errors.As(err, &e) || e.Code()&0xff != 5 || tries == 100 {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

func explainSQLite(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case 26: // SQLITE_NOTADB
			return fmt.Errorf("this file is not a ledger; name another with --store sqlite:PATH: %w", err)
		case 14: // SQLITE_CANTOPEN
			return fmt.Errorf("the file cannot be opened; check the path and its permissions (--store sqlite:PATH): %w", err)
		}
	}
	return err
}

type sqliteDialect struct{}

func (sqliteDialect) now() string                          { return "CAST(unixepoch('subsec')*1000 AS INTEGER)" }
func (sqliteDialect) skipLocked() string                   { return "" }
func (sqliteDialect) share() string                        { return "" }
func (sqliteDialect) rowLock() string                      { return "" }
func (sqliteDialect) indexedBy(index string) string        { return "INDEXED BY " + index }
func (sqliteDialect) lockTable(string) string              { return "" }
func (sqliteDialect) identity() string                     { return "INTEGER PRIMARY KEY AUTOINCREMENT" }
func (sqliteDialect) withoutRowID() string                 { return "WITHOUT ROWID" }
func (sqliteDialect) committers() int                      { return 1 }
func (sqliteDialect) rows(rows int, types []string) string { return questionMarks(rows, len(types)) }

func (sqliteDialect) bound(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	return context.WithoutCancel(ctx), func() {}
}

// isDeadlock is always false: one transaction writes at a time, so no two wait for each other.
func (sqliteDialect) isDeadlock(error) bool { return false }

// lockSchema does nothing: transactions begin IMMEDIATE, so only one process is in one.
func (sqliteDialect) lockSchema(context.Context, *sql.Tx) error { return nil }

func (d sqliteDialect) fillTemp(ctx context.Context, conn *sql.Conn, tx *sql.Tx, table, definition string, columns []string, n int, fill fill) error {
	for _, statement := range []string{
		`CREATE TEMP TABLE IF NOT EXISTS ` + table + ` (` + definition + `)`,
		`DELETE FROM ` + table,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return d.insert(ctx, conn, tx, table, columns, n, fill)
}

// insert runs multi-row INSERTs of at most sqliteRows.
func (sqliteDialect) insert(ctx context.Context, _ *sql.Conn, tx *sql.Tx, table string, columns []string, n int, fill fill) error {
	insert := `INSERT INTO ` + table + ` (` + strings.Join(columns, ", ") + `) VALUES `
	width := len(columns)
	var full *sql.Stmt
	for start := 0; start < n; start += sqliteRows {
		count := min(sqliteRows, n-start)
		args := make([]any, count*width)
		for i := range count {
			fill(start+i, args[i*width:(i+1)*width])
		}
		if count < sqliteRows {
			_, err := tx.ExecContext(ctx, insert+questionMarks(count, width), args...)
			return err
		}
		if full == nil {
			var err error
			if full, err = tx.PrepareContext(ctx, insert+questionMarks(count, width)); err != nil {
				return err
			}
			defer full.Close()
		}
		if _, err := full.ExecContext(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// questionMarks is "(?,?),(?,?)…". SQLite takes $1 for a name, and its time to find names grows
// with the square of their number.
func questionMarks(rows, columns int) string {
	row := "(" + strings.Repeat("?,", columns-1) + "?)"
	return strings.Repeat(row+",", rows-1) + row
}

package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// sqliteRows is how many rows a multi-row statement carries: SQLite allows 32,766 parameters.
const sqliteRows = 1000

// checkpointPages is after how many pages of 4 KiB the log is brought into the database, which waits for the disk and keeps the
// next write waiting. The keys of most rows are hashes, so that a page is written again soon: fewer checkpoints write less.
const checkpointPages = 4000

// openSQLite opens one connection that writes and some that read: SQLite has one writer at a time, and a
// queue for it in this process is fairer than its busy handler.
func openSQLite(ctx context.Context, path string, connections int) (write, read *sql.DB, err error) {
	if path == "" {
		return nil, nil, errors.New("ledger sqlite: the path is missing; for example sqlite:.gistmill/ledger.db")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, nil, fmt.Errorf("make the ledger's folder: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("find the ledger's path: %w", err)
	}
	source := (&url.URL{Scheme: "file", Path: abs}).String() +
		"?_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)" +
		"&_pragma=cache_size(-16000)&_pragma=temp_store(FILE)" +
		fmt.Sprintf("&_pragma=wal_autocheckpoint(%d)", checkpointPages)
	write, err = openKeeping(source + "&_txlock=immediate")
	if err != nil {
		return nil, nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := pingSQLite(ctx, write); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open ledger %s: %w", path, explainSQLite(err)), write.Close())
	}
	read, err = openKeeping(source + "&_pragma=query_only(1)")
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open ledger %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(max(1, connections-1))
	read.SetMaxIdleConns(max(1, connections-1))
	return write, read, nil
}

// pingSQLite opens the first connection. Of processes that make a new file a write-ahead log at once all but one are told that it is
// locked, and no busy_timeout is waited for (sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY In WAL Mode").
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

func openKeeping(source string) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(source)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(keeper{connector}), nil
}

func explainSQLite(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case 26: // SQLITE_NOTADB
			return fmt.Errorf("this file is not a ledger; name another with --store sqlite:PATH: %w", err)
		case 14: // SQLITE_CANTOPEN
			return fmt.Errorf("it can't be opened; check the path and its permissions (--store sqlite:PATH): %w", err)
		}
	}
	return err
}

type sqliteDialect struct{}

func (sqliteDialect) name() string         { return "sqlite" }
func (sqliteDialect) now() string          { return "CAST(unixepoch('subsec')*1000 AS INTEGER)" }
func (sqliteDialect) skipLocked() string   { return "" }
func (sqliteDialect) lock() string         { return "" }
func (sqliteDialect) share() string        { return "" }
func (sqliteDialect) identity() string     { return "INTEGER PRIMARY KEY AUTOINCREMENT" }
func (sqliteDialect) withoutRowID() string { return "WITHOUT ROWID" }
func (sqliteDialect) committers() int      { return 1 }

func (sqliteDialect) values(rows int, types []string) string { return marks(rows, len(types)) }

// bound takes the end of the context away, for which the driver would start a goroutine a statement: there is no server, and
// locks are waited for as long as busy_timeout says.
func (sqliteDialect) bound(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	return context.WithoutCancel(ctx), func() {}
}

// openCalls names the index: without statistics SQLite reads all calls of a run instead.
func (sqliteDialect) openCalls() string { return "INDEXED BY calls_open" }

// gaveUp: one transaction writes at a time, so that none waits in a circle.
func (sqliteDialect) gaveUp(error) bool { return false }

// lockSchema has nothing to do: transactions begin IMMEDIATE, so only one process is in one.
func (sqliteDialect) lockSchema(context.Context, *sql.Tx) error { return nil }

// lockCalls has nothing to do, for the same reason.
func (sqliteDialect) lockCalls(context.Context, *sql.Tx) error { return nil }

func (sqliteDialect) stage(ctx context.Context, _ *sql.Conn, tx *sql.Tx, entries []Entry) error {
	if _, err := tx.ExecContext(ctx, `CREATE TEMP TABLE IF NOT EXISTS stage (ord INTEGER, uri TEXT, locator TEXT, version TEXT,
		size INTEGER, modified_at INTEGER, problem TEXT, document_id INTEGER)`); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM stage`); err != nil {
		return err
	}
	return inRows(ctx, tx, `INSERT INTO stage (ord, uri, locator, version, size, modified_at, problem) VALUES `, 7, len(entries), func(i int, row []any) {
		copy(row, entries[i].row(i))
	})
}

func (sqliteDialect) insertPlanned(ctx context.Context, _ *sql.Conn, tx *sql.Tx, run RunID, scan int64, rows []planned) error {
	return inRows(ctx, tx, `INSERT INTO run_documents (run_num, document_id, scan, state, partition_id) VALUES `, 5, len(rows),
		func(i int, row []any) {
			row[0], row[1], row[2], row[3], row[4] = run, rows[i].document, scan, string(DocumentPending), rows[i].partition
		})
}

// inRows runs a multi-row INSERT of n rows in statements of at most sqliteRows.
func inRows(ctx context.Context, tx *sql.Tx, insert string, columns, n int, fill func(i int, row []any)) error {
	var full *sql.Stmt
	for start := 0; start < n; start += sqliteRows {
		count := min(sqliteRows, n-start)
		args := make([]any, count*columns)
		for i := range count {
			fill(start+i, args[i*columns:(i+1)*columns])
		}
		if count < sqliteRows {
			_, err := tx.ExecContext(ctx, insert+marks(count, columns), args...)
			return err
		}
		if full == nil {
			var err error
			if full, err = tx.PrepareContext(ctx, insert+marks(count, columns)); err != nil {
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

// marks is "(?,?),(?,?)…". SQLite takes $1 for a name, and its time to find names grows with the square of their number.
func marks(rows, columns int) string {
	row := "(" + strings.Repeat("?,", columns-1) + "?)"
	return strings.Repeat(row+",", rows-1) + row
}

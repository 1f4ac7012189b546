package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrNewer refuses a database that a newer program has migrated.
var ErrNewer = errors.New("the ledger was written by a newer gistmill; use that version or newer")

// Migrate applies the .sql files that the database lacks, in the order of their names, in one
// transaction under one lock. So processes that start at once wait for each other, and a failure
// leaves nothing behind; both databases have transactional DDL. When nothing is missing it takes no
// lock: a program that only reads must not wait for a planner that writes. It fails with [ErrNewer]
// when the database has more migrations than files.
//
// In a file @id is the type of a key that the database counts up, and @without_rowid ends a table
// that SQLite stores by its primary key.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS) error {
	files, err := fs.Glob(migrations, "*.sql") // sorted by name
	if err != nil {
		return err
	}
	const current = `SELECT COALESCE(MAX(version), 0) FROM schema_version`
	var version int
	if err := db.read.QueryRowContext(ctx, current).Scan(&version); err == nil && version >= len(files) {
		if err := checkVersion(version, len(files)); err != nil {
			return fmt.Errorf("open the ledger: %w", err)
		}
		return nil
	} // an error: the table does not exist yet, or the cause shows again below
	err = db.tryTx(ctx, db.write, func(tx *sql.Tx) error {
		if err := db.dialect.lockSchema(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)`); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, current).Scan(&version); err != nil {
			return err
		}
		if err := checkVersion(version, len(files)); err != nil {
			return err
		}
		for i, file := range files[version:] {
			body, err := fs.ReadFile(migrations, file)
			if err != nil {
				return err
			}
			for _, statement := range statements(string(body)) {
				statement = strings.ReplaceAll(statement, "@id", db.dialect.identity())
				statement = strings.ReplaceAll(statement, "@without_rowid", db.dialect.withoutRowID())
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO schema_version VALUES ($1)`, version+i+1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("migrate the ledger's schema from %d to %d: %w", version, len(files), explainMigration(err))
	}
	return nil
}

// ErrOlder refuses to read a database that an older program has made.
var ErrOlder = errors.New("it was made by an older gistmill")

// Check requires that the database has exactly the given migrations, and writes nothing. It fails
// with [ErrMissing] without tables, with [ErrOlder] when the database lacks a migration, and with
// [ErrNewer] when it has more.
func (db *DB) Check(ctx context.Context, migrations fs.FS) error {
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return err
	}
	var version int
	err = db.read.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&version)
	switch {
	case isNoTable(err) || err == nil && version == 0:
		return fmt.Errorf("the ledger at %s has no tables yet (set --store): %w", db.place, ErrMissing)
	case err != nil:
		return fmt.Errorf("open ledger %s: %w", db.place, explainSQLite(err))
	case version < len(files):
		return fmt.Errorf("the ledger at %s needs an update of its schema from %d to %d: %w; run `gistmill migrate` "+
			"(where this role may not change tables, run this version once as the role that owns them)", db.place, version, len(files), ErrOlder)
	}
	if err := checkVersion(version, len(files)); err != nil {
		return fmt.Errorf("open the ledger at %s: %w", db.place, err)
	}
	return nil
}

// checkVersion refuses a schema that is newer than this program.
func checkVersion(version, newest int) error {
	if version > newest {
		return fmt.Errorf("schema %d, this program knows %d: %w", version, newest, ErrNewer)
	}
	return nil
}

// statements removes the comments of a file and splits it: a single statement works on every
// driver.
func statements(file string) []string {
	var code strings.Builder
	for line := range strings.Lines(file) {
		before, _, _ := strings.Cut(line, "--")
		code.WriteString(before)
		code.WriteByte('\n')
	}
	var all []string
	for statement := range strings.SplitSeq(code.String(), ";") {
		if statement = strings.TrimSpace(statement); statement != "" {
			all = append(all, statement)
		}
	}
	return all
}

package ledger

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies what is missing, all in one transaction under one lock, so that processes that start at
// once wait for each other and a failure leaves nothing behind. Both databases have transactional DDL. Where nothing is missing no
// lock is taken: who only wants to look would wait for a planner that writes.
func (l *Ledger) migrate(ctx context.Context) error {
	files, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name
	if err != nil {
		return err
	}
	const current = `SELECT COALESCE(MAX(version), 0) FROM schema_version`
	var version int
	if err := l.read.QueryRowContext(ctx, current).Scan(&version); err == nil && version >= len(files) {
		if err := known(version, len(files)); err != nil {
			return fmt.Errorf("open the ledger: %w", err)
		}
		return nil
	} // an error: the table is missing yet, or what is wrong shows again below
	err = l.tx(ctx, func(tx *sql.Tx) error {
		if err := l.dialect.lockSchema(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)`); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, current).Scan(&version); err != nil {
			return err
		}
		if err := known(version, len(files)); err != nil {
			return err
		}
		for i, file := range files[version:] {
			body, err := migrations.ReadFile(file)
			if err != nil {
				return err
			}
			for _, statement := range statements(string(body)) {
				statement = strings.ReplaceAll(statement, "@id", l.dialect.identity())
				statement = strings.ReplaceAll(statement, "@without_rowid", l.dialect.withoutRowID())
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
		return fmt.Errorf("bring the ledger's schema from %d to %d: %w", version, len(files), explainMigration(err))
	}
	return nil
}

// known refuses a schema that is newer than what this program knows.
func known(version, newest int) error {
	if version > newest {
		return fmt.Errorf("schema %d, this program knows %d: %w", version, newest, ErrNewer)
	}
	return nil
}

// statements takes the comments out of a file and splits it: a statement at a time works on every driver.
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

package sqldb

import (
	"context"
	"testing"
	"testing/fstest"
	"time"
)

// A process that opens a database while another writes to it does not wait: nothing is to migrate.
func TestOpenDuringAWrite(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + t.TempDir() + "/ledger.db"
	migrations := fstest.MapFS{"0001_init.sql": &fstest.MapFile{Data: []byte("CREATE TABLE x (n @id);")}}
	open := func(ctx context.Context) *DB {
		t.Helper()
		db, err := Open(ctx, url, Options{})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := db.Migrate(ctx, migrations); err != nil {
			t.Fatalf("migrate: %v", err)
		}
		return db
	}
	writer := open(t.Context())
	tx, err := writer.write.BeginTx(t.Context(), nil) // immediate: it holds the lock
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	reader := open(ctx)
	var n int
	if err := reader.Reads().QueryRow(ctx, "SELECT COUNT(*) FROM x").Scan(&n); err != nil {
		t.Error(err)
	}
}

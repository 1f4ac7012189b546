package ledger

import (
	"context"
	"testing"
	"time"
)

// TestOpenBesideAWriter opens a ledger that somebody is writing to: nothing is to be migrated, so nobody is waited for.
func TestOpenBesideAWriter(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + t.TempDir() + "/ledger.db"
	writer, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	tx, err := writer.write.BeginTx(t.Context(), nil) // immediate: it holds the lock
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	reader, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatalf("a reader waits for the writer: %v", err)
	}
	defer reader.Close()
	if _, err := reader.Runs(ctx, 0); err != nil {
		t.Error(err)
	}
}

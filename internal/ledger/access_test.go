package ledger_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gistmill/gistmill/internal/ledger"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new")
	path := filepath.Join(folder, "l.db")
	for _, access := range []ledger.Access{ledger.AccessRead, ledger.AccessChange} {
		if _, err := ledger.Open(t.Context(), "sqlite:"+path, ledger.Options{Access: access}); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("access %v: got %v, want ErrMissing", access, err)
		}
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("a folder was made")
	}

	l, err := ledger.Open(t.Context(), "sqlite:"+path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !l.Created() || l.Place() != path {
		t.Errorf("created %v, place %q", l.Created(), l.Place())
	}
	if _, err := l.PutSource(t.Context(), "file:///docs"); err != nil {
		t.Fatal(err)
	}
	reader, err := ledger.Open(t.Context(), "sqlite:"+path, ledger.Options{Access: ledger.AccessRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Runs(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if _, err := reader.PutSource(t.Context(), "file:///other"); err == nil {
		t.Error("a reader wrote")
	}
	if err := errors.Join(reader.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}

	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `DELETE FROM schema_version WHERE version = (SELECT MAX(version) FROM schema_version)`); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), "sqlite:"+path, ledger.Options{Access: ledger.AccessRead}); !errors.Is(err, ledger.ErrOlder) {
		t.Errorf("an older schema: got %v, want ErrOlder", err)
	}
}

func TestLedgerInMemory(t *testing.T) {
	t.Parallel()
	l, err := ledger.Open(t.Context(), "sqlite:/no/such/folder/l.db", ledger.Options{Access: ledger.AccessMemory})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pending := 0
	count, err := l.Preview(t.Context(), "file:///docs", "profile", false, []ledger.Entry{{URI: "a", Version: "1"}}, func(ledger.Entry) { pending++ })
	if err != nil || count.Pending != 1 || pending != 1 {
		t.Errorf("got %+v, %v", count, err)
	}
}

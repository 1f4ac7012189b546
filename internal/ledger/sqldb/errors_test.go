package sqldb

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestIsFull(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "small.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range []string{`CREATE TABLE t (b BLOB)`, `PRAGMA max_page_count = 3`} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	_, full := db.ExecContext(t.Context(), `INSERT INTO t VALUES (zeroblob(100000))`)
	_, wrong := db.ExecContext(t.Context(), `INSERT INTO no_such_table VALUES (1)`)
	for _, c := range []struct {
		err  error
		want bool
	}{
		{full, true},
		{fmt.Errorf("book the outcome: %w", full), true},
		{&pgconn.PgError{Code: "53100"}, true},
		{&pgconn.PgError{Code: "53300"}, false}, // too many connections
		{wrong, false},
		{errors.New("database or disk is full"), false},
		{nil, false},
	} {
		if got := IsFull(c.err); got != c.want {
			t.Errorf("%v: full is %v", c.err, got)
		}
	}
}

func TestIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		{fmt.Errorf("reach the ledger: %w", &pgconn.PgError{Code: "57P03"}), true}, // cannot_connect_now
		{&pgconn.PgError{Code: "53300"}, true},                                     // too_many_connections
		{&pgconn.PgError{Code: "28P01"}, false},                                    // invalid_password
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, false},
		{errors.New("no such table"), false},
		{nil, false},
	} {
		if got := IsUnavailable(c.err); got != c.want {
			t.Errorf("%v: unavailable is %v", c.err, got)
		}
	}
}

package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

// cachingDB opens a database with one connection; kept counts the statements that it keeps.
func cachingDB(t *testing.T) (db *sql.DB, kept func() int) {
	t.Helper()
	db, err := openCaching("file:" + filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	db.SetMaxOpenConns(1)
	mustExec(t, db, `CREATE TABLE x (n INTEGER PRIMARY KEY)`)
	mustExec(t, db, `INSERT INTO x VALUES (1), (2), (3)`)
	return db, func() (n int) {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Raw(func(c any) error { n = len(c.(*cachingConn).idle); return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

func mustExec(t *testing.T, db *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func TestStatementsAreKept(t *testing.T) {
	t.Parallel()
	db, kept := cachingDB(t)
	before := kept()
	for n := range 10 {
		var got int
		if err := db.QueryRowContext(t.Context(), `SELECT n + $1 FROM x ORDER BY n`, n).Scan(&got); err != nil || got != n+1 {
			t.Fatalf("%d: got %d, %v", n, got, err)
		}
		mustExec(t, db, `INSERT INTO x VALUES ($1)`, 100+n)
	}
	if n := kept() - before; n != 2 {
		t.Errorf("%d more statements are kept, want 2", n)
	}
}

// A statement whose rows are still being read does not run a second time.
func TestStatementInUse(t *testing.T) {
	t.Parallel()
	db, _ := cachingDB(t)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const all = `SELECT n FROM x ORDER BY n`
	outer, err := conn.QueryContext(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	read := func() (n int) {
		if err := outer.Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var seen []int
	for outer.Next() {
		seen = append(seen, read())
		var first int
		if err := conn.QueryRowContext(t.Context(), all).Scan(&first); err != nil || first != 1 {
			t.Fatalf("a second time it reads %d, %v", first, err)
		}
	}
	if err := outer.Err(); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(seen), "[1 2 3]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	db, kept := cachingDB(t)
	for n := range 3 * maxStatements {
		var got int
		if err := db.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d`, n)).Scan(&got); err != nil || got != n {
			t.Fatalf("got %d, %v", got, err)
		}
		if k := kept(); k > maxStatements {
			t.Fatalf("%d statements are kept", k)
		}
	}
}

// A statement works again after an error, and after another connection changed the tables.
func TestStatementAfterError(t *testing.T) {
	t.Parallel()
	path := "file:" + filepath.Join(t.TempDir(), "x.db")
	var pools [2]*sql.DB
	for i := range pools {
		var err error
		if pools[i], err = openCaching(path); err != nil {
			t.Fatal(err)
		}
		defer pools[i].Close()
	}
	db, other := pools[0], pools[1]
	mustExec(t, db, `CREATE TABLE x (n INTEGER PRIMARY KEY)`)
	const insert = `INSERT INTO x (n) VALUES ($1) RETURNING n`
	put := func(n int) error { return db.QueryRowContext(t.Context(), insert, n).Scan(&n) }
	for range 2 {
		if err := put(1); err != nil {
			t.Fatal(err)
		}
		if err := put(1); err == nil {
			t.Fatal("the same key twice")
		}
		if err := put(2); err != nil {
			t.Fatal(err)
		}
		mustExec(t, other, `DROP TABLE x`)
		mustExec(t, other, `CREATE TABLE x (a TEXT DEFAULT 'a', n INTEGER PRIMARY KEY)`)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.QueryRowContext(ended, insert, 3).Err(); err == nil {
		t.Fatal("a statement ran after the end of its context")
	}
	if err := put(3); err != nil {
		t.Fatal(err)
	}
}

//go:build integration

package integration

import (
	"bytes"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gistmill/gistmill/test/servers"
)

// postgresServer is a PostgreSQL that belongs to one test.
type postgresServer struct {
	t      *testing.T
	server *servers.Postgres
	port   int
	db     *sql.DB // as its superuser postgres
}

// newPostgres starts a server on a free port, with an empty database "gistmill". files are
// written into its data folder. hba are lines of its pg_hba.conf; they must not name the
// superuser postgres, who logs in without a password and without TLS. settings are name=value.
func newPostgres(t *testing.T, files map[string][]byte, hba []string, settings ...string) *postgresServer {
	t.Helper()
	// Other users may not enter t.TempDir.
	dir, err := os.MkdirTemp("", "gistmill-postgresql-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"pg_hba.conf": []byte(strings.Join(append([]string{"host all postgres 127.0.0.1/32 trust"}, hba...), "\n") + "\n")}
	maps.Copy(all, files)
	server, err := servers.StartPostgres(background(), dir, servers.PostgresOptions{Files: all, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	s := &postgresServer{t: t, server: server, port: server.Port}
	admin := s.open("postgres")
	defer admin.Close()
	if _, err := admin.Exec("CREATE DATABASE gistmill"); err != nil {
		t.Fatal(err)
	}
	s.db = s.open("gistmill")
	return s
}

// file writes a file that only the server may read.
func (s *postgresServer) file(name string, content []byte) {
	s.t.Helper()
	if err := s.server.WriteFile(name, content); err != nil {
		s.t.Fatal(err)
	}
}

// begin starts the server again with the same data.
func (s *postgresServer) begin() {
	s.t.Helper()
	if err := s.server.Start(background()); err != nil {
		s.t.Fatal(err)
	}
}

// end stops the server as a crash would, and leaves no processes.
func (s *postgresServer) end() { s.server.Stop() }

// restart crashes the server and starts it again.
func (s *postgresServer) restart() {
	s.t.Helper()
	s.end()
	s.begin()
}

// log returns what the server has logged since its last start.
func (s *postgresServer) log() string { return s.server.Log() }

// url returns the URL of a database for a user; more is its query.
func (s *postgresServer) url(login, database, more string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?%s", login, s.port, database, more)
}

func (s *postgresServer) open(database string) *sql.DB {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url("postgres", database, "sslmode=disable"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { db.Close() })
	return db
}

// psql runs a file as the superuser, with variables in its environment.
func (s *postgresServer) psql(file string, environ ...string) {
	s.t.Helper()
	c := exec.Command("psql", "-X", "-q", "-f", file, s.url("postgres", "gistmill", "sslmode=disable"))
	c.Env = append(os.Environ(), environ...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		s.t.Fatalf("psql -f %s: %v\n%s", file, err, &out)
	}
}

//go:build integration

package integration

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// postgresServer is a PostgreSQL that belongs to one test.
type postgresServer struct {
	t        *testing.T
	dir, bin string
	port     int
	settings []string
	runAs    *syscall.Credential // it refuses to run as root
	command  *exec.Cmd
	db       *sql.DB // as its superuser postgres
}

// newPostgres starts one on a free port, with an empty database "gistmill". files go into its folder, beside the data; hba are the lines of
// its pg_hba.conf, in which the superuser postgres, who comes without a password and without TLS, is not to be named; settings are
// name=value.
func newPostgres(t *testing.T, files map[string][]byte, hba []string, settings ...string) *postgresServer {
	t.Helper()
	// t.TempDir would be within a folder that nobody else may enter.
	dir, err := os.MkdirTemp("", "gistmill-postgresql-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	s := &postgresServer{t: t, dir: dir, settings: settings}
	t.Cleanup(func() {
		if s.db != nil {
			s.db.Close()
		}
		s.end()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.bin = postgresPrograms(t)
	if os.Getuid() == 0 {
		s.runAs = credential(t, "postgres")
	}
	s.own(dir)
	s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	for name, content := range files {
		s.file(name, content)
	}
	s.file("data/pg_hba.conf", []byte(strings.Join(append([]string{"host all postgres 127.0.0.1/32 trust"}, hba...), "\n")+"\n"))
	for range 3 { // the port may be lost to another process
		s.port = freePort(t)
		if s.begin() {
			if _, err := s.db.Exec("CREATE DATABASE gistmill"); err != nil {
				t.Fatal(err)
			}
			s.db.Close()
			s.db = s.open("gistmill")
			return s
		}
	}
	t.Fatalf("PostgreSQL does not start:\n%s", s.log())
	return nil
}

// postgresPrograms is where they are; Debian keeps them out of PATH, a folder for each version.
func postgresPrograms(t *testing.T) string {
	t.Helper()
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) }))
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		t.Fatalf("PostgreSQL is missing (apt-get install postgresql): %v", err)
	}
	return filepath.Dir(path)
}

func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *postgresServer) data() string { return filepath.Join(s.dir, "data") }

// file writes one that only the server may read.
func (s *postgresServer) file(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.own(path)
}

func (s *postgresServer) own(path string) {
	s.t.Helper()
	if s.runAs != nil {
		if err := os.Chown(path, int(s.runAs.Uid), int(s.runAs.Gid)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *postgresServer) prepare(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, program), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.runAs}
	return c
}

func (s *postgresServer) run(program string, args ...string) {
	s.t.Helper()
	if out, err := s.prepare(program, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// begin starts the server and says whether it answers.
func (s *postgresServer) begin() bool {
	s.t.Helper()
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for _, setting := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=" + s.dir, "fsync=off"}, s.settings...) {
		args = append(args, "-c", setting)
	}
	s.command = s.prepare("postgres", args...)
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.command.Stderr = log
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	if s.db != nil {
		s.db.Close()
	}
	s.db = s.open("postgres")
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.db.Ping() != nil {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.end()
			return false
		}
	}
	return true
}

// end stops the server as its own "immediate" shutdown does, without leaving processes.
func (s *postgresServer) end() {
	if s.command != nil && s.command.Process != nil {
		_ = s.command.Process.Signal(syscall.SIGQUIT)
		_ = s.command.Wait()
	}
	s.command = nil
}

// restart is a crash, and all well again.
func (s *postgresServer) restart() {
	s.t.Helper()
	s.end()
	if !s.begin() {
		s.t.Fatalf("PostgreSQL does not start again:\n%s", s.log())
	}
}

func (s *postgresServer) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// url is that of a database for a user; more is its query.
func (s *postgresServer) url(login, database, more string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?%s", login, s.port, database, more)
}

func (s *postgresServer) open(database string) *sql.DB {
	s.t.Helper()
	db, err := sql.Open("pgx", s.url("postgres", database, "sslmode=disable"))
	if err != nil {
		s.t.Fatal(err)
	}
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

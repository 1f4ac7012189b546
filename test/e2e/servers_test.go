//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
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

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/e2e/cluster"
)

// missingServers names the servers' programs that the machine lacks.
func missingServers() error {
	var packages []string
	if _, err := exec.LookPath("redis-server"); err != nil {
		packages = append(packages, "redis-server")
	}
	if !slices.ContainsFunc([]string{"chromium", "chromium-browser", "google-chrome"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		packages = append(packages, "chromium")
	}
	if _, err := postgresPrograms(); err != nil {
		packages = append(packages, "postgresql")
	}
	if len(packages) == 0 {
		return nil
	}
	return fmt.Errorf("programs are missing: apt-get install -y --no-install-recommends %s", strings.Join(packages, " "))
}

// postgresPrograms returns the folder of the newest version of the server's programs on Debian.
func postgresPrograms() (string, error) {
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(all) == 0 {
		return "", errors.Join(errors.New("PostgreSQL is not installed"), err)
	}
	return filepath.Dir(all[len(all)-1]), nil
}

// postgres is one server for all tests; each has a database.
type postgres struct {
	address string // URL without a database
	admin   *sql.DB
}

// startPostgres starts a server that lives as long as the namespace. fsync is off: the tests do
// not cut the power.
func startPostgres(ctx context.Context, dir string) (*postgres, error) {
	programs, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	// The user of Debian's package: PostgreSQL does not run as root.
	owner, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, errUID := strconv.Atoi(owner.Uid)
	gid, errGID := strconv.Atoi(owner.Gid)
	folder := filepath.Join(dir, "postgres")
	if err := errors.Join(errUID, errGID, os.Mkdir(folder, 0o700), os.Chown(folder, uid, gid)); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "logs", "postgres.log"))
	if err != nil {
		return nil, err
	}
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, filepath.Join(programs, name), args...)
		c.Dir, c.Stdout, c.Stderr = folder, log, log
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return c
	}
	data, password := filepath.Join(folder, "data"), rand.Text()
	secret := filepath.Join(folder, "password")
	if err := errors.Join(os.WriteFile(secret, []byte(password), 0o600), os.Chown(secret, uid, gid)); err != nil {
		return nil, err
	}
	if err := command("initdb", "-D", data, "-U", "gistmill", "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync").Run(); err != nil {
		return nil, fmt.Errorf("initdb: %w (see %s)", err, log.Name())
	}
	access, err := os.OpenFile(filepath.Join(data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = access.WriteString("host all all 10.0.0.0/8 scram-sha-256\n")
	if err := errors.Join(err, access.Close()); err != nil {
		return nil, err
	}
	server := command("postgres", "-D", data, "-p", "5432", "-c", "listen_addresses="+cluster.NodeIP, "-c", "unix_socket_directories="+folder,
		"-c", "fsync=off", "-c", "max_connections=400")
	if err := server.Start(); err != nil {
		return nil, err
	}
	p := &postgres{address: fmt.Sprintf("postgres://gistmill:%s@%s:5432/", password, cluster.NodeIP)}
	if p.admin, err = sql.Open("pgx", p.url("postgres")); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for err = p.admin.PingContext(ctx); err != nil && ctx.Err() == nil; err = p.admin.PingContext(ctx) {
		<-time.After(50 * time.Millisecond)
	}
	return p, err
}

func (p *postgres) url(database string) string { return p.address + database + "?sslmode=disable" }

// redisServer is one test's Redis, which can be stopped and started again.
type redisServer struct {
	t      *testing.T
	dir    string
	port   int
	client *redis.Client
	server *exec.Cmd
}

// startRedis starts a Redis with production settings: append-only file on, nothing evicted.
func startRedis(t *testing.T) *redisServer {
	t.Helper()
	r := &redisServer{t: t, dir: t.TempDir(), port: freePort(t)}
	r.client = redis.NewClient(&redis.Options{Addr: net.JoinHostPort(cluster.NodeIP, strconv.Itoa(r.port))})
	t.Cleanup(func() { r.client.Close() })
	r.start()
	t.Cleanup(func() {
		if r.server != nil {
			r.stop()
		}
	})
	return r
}

func (r *redisServer) url() string { return fmt.Sprintf("redis://%s:%d/0", cluster.NodeIP, r.port) }

func (r *redisServer) start() {
	r.t.Helper()
	r.server = exec.Command("redis-server", "--port", strconv.Itoa(r.port), "--bind", cluster.NodeIP, "--protected-mode", "no", "--dir", r.dir,
		"--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", "", "--logfile", filepath.Join(r.dir, "log"))
	if err := r.server.Start(); err != nil {
		r.t.Fatalf("start Redis: %v", err)
	}
	await(r.t, "Redis", patience, func() error { return r.client.Ping(background()).Err() })
}

// stop ends the server as a restart of its pod does.
func (r *redisServer) stop() {
	r.t.Helper()
	if err := r.server.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatalf("stop Redis: %v", err)
	}
	if err := r.server.Wait(); err != nil {
		r.t.Errorf("Redis ended badly: %v", err)
	}
	r.server = nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(cluster.NodeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

//go:build integration

package servers_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/servers"
)

// Acknowledged writes survive a kill and a new start.
func TestRedisKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	r, err := servers.StartRedis(t.Context(), t.TempDir(), redis.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if err := r.Client.Set(t.Context(), "a", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.Kill()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Client.Get(t.Context(), "a").Result(); err != nil || got != "1" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPostgresKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "gistmill-servers-") //nolint:usetesting // the user postgres may not enter a test's folder
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
	p, err := servers.StartPostgres(t.Context(), dir, servers.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `CREATE TABLE t (n INT)`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `INSERT INTO t VALUES (7)`); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if conn, err = pgx.Connect(t.Context(), p.URL()); err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	n := 0
	if err := conn.QueryRow(t.Context(), `SELECT n FROM t`).Scan(&n); err != nil || n != 7 {
		t.Errorf("got %d, %v", n, err)
	}
}

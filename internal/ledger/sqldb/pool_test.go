package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// fullServer gives out a number of connections and no more.
type fullServer struct {
	mu      sync.Mutex
	left    int
	refused int
}

func (s *fullServer) Connect(context.Context) (driver.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		s.refused++
		return nil, &pgconn.PgError{Code: "53300"}
	}
	s.left--
	return idleConn{}, nil
}

func (s *fullServer) Driver() driver.Driver { return nil }

// idleConn answers pings.
type idleConn struct{}

func (idleConn) Ping(context.Context) error          { return nil }
func (idleConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (idleConn) Close() error                        { return nil }
func (idleConn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }

// A pool that is refused a connection works with those it has, and asks for more later.
func TestPoolShrinksWhenRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &fullServer{left: 2}
		pool := openAdaptive(server, 8)
		defer pool.Close()
		// atOnce takes n connections, each for a second, and returns how many failed.
		atOnce := func(n int) (failed int) {
			var all sync.WaitGroup
			var mu sync.Mutex
			for range n {
				all.Go(func() {
					conn, err := pool.Conn(t.Context())
					if err != nil {
						mu.Lock()
						failed++
						mu.Unlock()
						return
					}
					time.Sleep(time.Second)
					_ = conn.Close()
				})
			}
			all.Wait()
			return failed
		}
		atOnce(8) // some are refused, and the pool shrinks
		if server.refused == 0 {
			t.Fatal("the pool asked for no more than two")
		}
		if n := atOnce(8); n != 0 {
			t.Errorf("%d of 8 failed, with two connections for them", n)
		}
		server.mu.Lock()
		server.left, server.refused = 6, 0
		server.mu.Unlock()
		time.Sleep(growAfter)
		start := time.Now()
		if n := atOnce(8); n != 0 || time.Since(start) > 2*time.Second {
			t.Errorf("with eight available %d of 8 failed, and the others took %s", n, time.Since(start))
		}
	})
}

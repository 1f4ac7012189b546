package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// askAgain is how long a pool makes do with the connections that it got.
const askAgain = time.Minute

// openSparing opens a pool that makes do with fewer connections than it may have when the server gives no more: one that asked for
// another for each statement would be refused each time, and the statement fail while a connection is about to be free.
func openSparing(connector driver.Connector, connections int) *sql.DB {
	s := &sparing{Connector: connector, wanted: connections}
	s.pool = sql.OpenDB(s)
	s.set(connections)
	return s.pool
}

// sparing opens connections, and makes the pool smaller for a while when that is refused.
type sparing struct {
	driver.Connector
	pool   *sql.DB
	wanted int

	mu    sync.Mutex
	small bool
}

// Connect is driver.Connector.
func (s *sparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := s.Connector.Connect(ctx)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "53300" { // too_many_connections
		s.spare()
	}
	return conn, err
}

func (s *sparing) spare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(max(1, s.pool.Stats().OpenConnections-1)) // the refused one is among them
	if !s.small {
		s.small = true
		time.AfterFunc(askAgain, s.grow)
	}
}

func (s *sparing) grow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.small = false
	s.set(s.wanted)
}

func (s *sparing) set(connections int) {
	s.pool.SetMaxOpenConns(connections)
	s.pool.SetMaxIdleConns(connections)
}

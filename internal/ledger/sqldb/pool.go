package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// growAfter is how long a pool keeps its smaller size after the server refused a connection.
const growAfter = time.Minute

// openAdaptive opens a pool that shrinks when the server has no connection left. A pool of fixed
// size would ask for a new connection at each statement and fail, although one of its own is free
// soon.
func openAdaptive(connector driver.Connector, connections int) *sql.DB {
	a := &adaptivePool{Connector: connector, wanted: connections}
	a.pool = sql.OpenDB(a)
	a.set(connections)
	return a.pool
}

// adaptivePool opens connections, and shrinks the pool for a while when one is refused.
type adaptivePool struct {
	driver.Connector
	pool   *sql.DB
	wanted int

	mu     sync.Mutex
	shrunk bool
}

// Connect is driver.Connector.
func (a *adaptivePool) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := a.Connector.Connect(ctx)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "53300" { // too_many_connections
		a.shrink()
	}
	return conn, err
}

func (a *adaptivePool) shrink() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set(max(1, a.pool.Stats().OpenConnections-1)) // the refused one is among them
	if !a.shrunk {
		a.shrunk = true
		time.AfterFunc(growAfter, a.restore)
	}
}

func (a *adaptivePool) restore() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shrunk = false
	a.set(a.wanted)
}

func (a *adaptivePool) set(connections int) {
	a.pool.SetMaxOpenConns(connections)
	a.pool.SetMaxIdleConns(connections)
}

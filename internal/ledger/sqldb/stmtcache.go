package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
)

const (
	// maxStatements bounds the statements that a connection keeps. A worker and a planner together use
	// less than half of it.
	maxStatements = 128
	// maxStatementBytes is the length of the longest statement that is kept: a compiled statement for
	// hundreds of rows takes much memory.
	maxStatementBytes = 4 << 10
)

// openCaching opens an SQLite pool whose connections keep compiled statements.
func openCaching(source string) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(source)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(stmtCacheConnector{connector}), nil
}

// stmtCacheConnector opens SQLite connections that keep compiled statements. Compiling one takes
// longer than running it, and the driver compiles at every call. (pgx has modes for this; behind a
// transaction pooler nothing may be kept.)
type stmtCacheConnector struct{ driver.Connector }

// Connect is driver.Connector.
func (k stmtCacheConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := c.(fullConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T lacks methods that the ledger needs", c), c.Close())
	}
	return &cachingConn{fullConn: full, idle: map[string]driver.Stmt{}}, nil
}

// fullConn lists what a wrapper must pass on, or database/sql falls back to calls without a
// context.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// cachingConn is used by one goroutine at a time, as database/sql promises.
type cachingConn struct {
	fullConn
	idle map[string]driver.Stmt // compiled and not running, by their text
}

// get returns a statement for the caller alone until put: one whose rows are being read must not
// run a second time.
func (c *cachingConn) get(ctx context.Context, query string) (driver.Stmt, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	return c.PrepareContext(ctx, query)
}

func (c *cachingConn) put(query string, s driver.Stmt) error {
	if c.idle[query] != nil || len(query) > maxStatementBytes {
		return s.Close()
	}
	// Texts that differ each time have filled it. Statements in use are put back soon.
	if len(c.idle) >= maxStatements {
		if err := c.closeAll(); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	c.idle[query] = s
	return nil
}

func (c *cachingConn) closeAll() error {
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.Close())
	}
	clear(c.idle)
	return errors.Join(errs...)
}

// ExecContext is driver.ExecerContext.
func (c *cachingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.get(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.(driver.StmtExecContext).ExecContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return result, c.put(query, s)
}

// QueryContext is driver.QueryerContext.
func (c *cachingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.get(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &cachedRows{Rows: rows, conn: c, query: query, statement: s}, nil
}

// Close is driver.Conn.
func (c *cachingConn) Close() error { return errors.Join(c.closeAll(), c.fullConn.Close()) }

// cachedRows puts its statement back when it is closed.
type cachedRows struct {
	driver.Rows
	conn      *cachingConn
	query     string
	statement driver.Stmt
}

// Close is driver.Rows.
func (r *cachedRows) Close() error {
	if err := r.Rows.Close(); err != nil {
		return errors.Join(err, r.statement.Close())
	}
	return r.conn.put(r.query, r.statement)
}

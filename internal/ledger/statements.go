package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

const (
	// keptStatements bounds what a connection keeps; a worker and a planner together use less than half of it.
	keptStatements = 128
	// keptLength is the longest statement that is kept, in bytes: a program for hundreds of rows takes much memory.
	keptLength = 4 << 10
)

// keeper opens SQLite connections that keep the programs of their statements. Compiling one takes longer than running it, and
// the driver does it again for every call. (pgx has modes for this; behind a transaction pooler nothing may be kept.)
type keeper struct{ driver.Connector }

// Connect is driver.Connector.
func (k keeper) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := c.(fullConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T lacks methods that the ledger needs", c), c.Close())
	}
	return &keepingConn{fullConn: full, idle: map[string]driver.Stmt{}}, nil
}

// fullConn is what a wrapper has to pass on, or database/sql falls back to calls without a context.
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

// keepingConn is used by one goroutine at a time, as database/sql promises.
type keepingConn struct {
	fullConn
	idle map[string]driver.Stmt // compiled and not running, by their text
}

// take returns a statement that is the caller's until it is given back: one whose rows are being read is not used twice.
func (c *keepingConn) take(ctx context.Context, query string) (driver.Stmt, error) {
	if s, ok := c.idle[query]; ok {
		delete(c.idle, query)
		return s, nil
	}
	return c.PrepareContext(ctx, query)
}

func (c *keepingConn) give(query string, s driver.Stmt) error {
	if c.idle[query] != nil || len(query) > keptLength {
		return s.Close()
	}
	if len(c.idle) >= keptStatements { // texts that differ each time have filled it; those in use come back at once
		if err := c.drop(); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	c.idle[query] = s
	return nil
}

func (c *keepingConn) drop() error {
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.Close())
	}
	clear(c.idle)
	return errors.Join(errs...)
}

// ExecContext is driver.ExecerContext.
func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	result, err := s.(driver.StmtExecContext).ExecContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return result, c.give(query, s)
}

// QueryContext is driver.QueryerContext.
func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &keptRows{Rows: rows, conn: c, query: query, statement: s}, nil
}

// Close is driver.Conn.
func (c *keepingConn) Close() error { return errors.Join(c.drop(), c.fullConn.Close()) }

// keptRows gives its statement back when it is closed.
type keptRows struct {
	driver.Rows
	conn      *keepingConn
	query     string
	statement driver.Stmt
}

// Close is driver.Rows.
func (r *keptRows) Close() error {
	if err := r.Rows.Close(); err != nil {
		return errors.Join(err, r.statement.Close())
	}
	return r.conn.give(r.query, r.statement)
}

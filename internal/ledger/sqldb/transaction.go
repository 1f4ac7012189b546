package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// beginBounded begins a transaction that the server ends after 15 s of silence from the client. A
// frozen process, or a machine without power or network, would otherwise hold its locks until TCP
// gives up after hours, and every other process waits
// (https://www.postgresql.org/docs/current/runtime-config-client.html,
// idle_in_transaction_session_timeout). 15 s is half a lease of a worker: when the lease has
// lapsed, the worker holds no lock. LOCAL, because a pooler may hand the session on. A planner that
// falls silent in the middle of a COPY counts as active: other planners wait for it until TCP gives
// up.
const beginBounded = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 15000"

// boundedConnector opens PostgreSQL connections whose transactions begin with beginBounded.
type boundedConnector struct{ driver.Connector }

// Connect is driver.Connector.
func (b boundedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := b.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	pg, ok := c.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T is not a connection of pgx", c), c.Close())
	}
	return boundedConn{pg}, nil
}

type boundedConn struct{ *stdlib.Conn }

// CheckNamedValue is driver.NamedValueChecker. It converts arguments as database/sql does for
// drivers without a checker, SQLite's among them, so that both databases accept the same: a named
// type becomes the type underneath, and a slice that pgx would take for an array is refused.
func (boundedConn) CheckNamedValue(v *driver.NamedValue) (err error) {
	v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
	return err
}

// BeginTx is driver.ConnBeginTx. It supports no options: this package uses none.
func (c boundedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	if options != (driver.TxOptions{}) {
		return nil, fmt.Errorf("a transaction with options: %+v", options)
	}
	if c.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	tx, err := c.Conn.Conn().BeginTx(ctx, pgx.TxOptions{BeginQuery: beginBounded})
	if err != nil {
		return nil, err
	}
	return boundedTx{ctx, tx}, nil
}

// boundedTx ends a transaction under the context that began it: database/sql passes none to Commit
// and Rollback.
type boundedTx struct {
	ctx context.Context
	tx  pgx.Tx
}

// Commit is driver.Tx.
func (t boundedTx) Commit() error { return t.tx.Commit(t.ctx) }

// Rollback is driver.Tx.
func (t boundedTx) Rollback() error { return t.tx.Rollback(t.ctx) }

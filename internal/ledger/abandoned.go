package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// beginBounded begins a transaction that the server ends by itself when its client is silent in it for 15 s: a frozen process and a machine
// that lost its network or power otherwise hold their locks, for which every other process waits, until TCP gives up after hours
// (https://www.postgresql.org/docs/current/runtime-config-client.html, idle_in_transaction_session_timeout). Half a
// Lease: when it has lapsed, nothing of its worker is locked. LOCAL, as a pooler may hand the session on. A planner that is silent in the
// middle of a COPY counts as active: the planners that wait for it do so until TCP gives up.
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
		return nil, errors.Join(fmt.Errorf("the driver's %T is no connection of pgx", c), c.Close())
	}
	return boundedConn{pg}, nil
}

type boundedConn struct{ *stdlib.Conn }

// CheckNamedValue is driver.NamedValueChecker. It converts named types to those underneath, as
// database/sql does for other drivers: pgx has no type of PostgreSQL for them.
func (boundedConn) CheckNamedValue(v *driver.NamedValue) (err error) {
	v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
	return err
}

// BeginTx is driver.ConnBeginTx. It knows no options: the ledger uses none.
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

// boundedTx ends a transaction under the context that it was begun with, which database/sql does not hand on.
type boundedTx struct {
	ctx context.Context
	tx  pgx.Tx
}

func (t boundedTx) Commit() error   { return t.tx.Commit(t.ctx) }
func (t boundedTx) Rollback() error { return t.tx.Rollback(t.ctx) }

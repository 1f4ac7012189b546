package sqldb

import (
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// IsFull reports whether an error means that the database's disk has no room left.
func IsFull(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		// SQLITE_FULL, SQLITE_IOERR_SHMSIZE (sqlite.org/rescode.html)
		const full, ioErrorSharedMemory = 13, 10 | 19<<8
		return lite.Code()&0xff == full || lite.Code() == ioErrorSharedMemory
	}
	var postgres *pgconn.PgError
	return errors.As(err, &postgres) && postgres.Code == "53100" // disk_full
}

// isNoTable reports whether a statement failed because its table does not exist.
func isNoTable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) { // SQLite has no code of its own for it
		return lite.Code() == 1 && strings.Contains(lite.Error(), "no such table")
	}
	var postgres *pgconn.PgError
	return errors.As(err, &postgres) && postgres.Code == "42P01" // undefined_table
}

// IsUnavailable reports whether an error means that the server does not answer yet: it cannot be
// reached, is starting up, or has no connection left. A later try may succeed.
func IsUnavailable(err error) bool {
	var postgres *pgconn.PgError
	if errors.As(err, &postgres) {
		// cannot_connect_now, too_many_connections
		return postgres.Code == "57P03" || postgres.Code == "53300"
	}
	var network *net.OpError
	// "remote error" is a TLS alert: the server is there and refuses our certificate.
	return errors.As(err, &network) && network.Op != "remote error"
}

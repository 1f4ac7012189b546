package ledger

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// IsFull says whether an error is that the disk of the ledger has no room left.
func IsFull(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		const full, ioErrorSharedMemory = 13, 10 | 19<<8 // SQLITE_FULL, SQLITE_IOERR_SHMSIZE (sqlite.org/rescode.html)
		return lite.Code()&0xff == full || lite.Code() == ioErrorSharedMemory
	}
	var postgres *pgconn.PgError
	return errors.As(err, &postgres) && postgres.Code == "53100" // disk_full
}

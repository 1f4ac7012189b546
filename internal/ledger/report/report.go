// Package report answers questions about a ledger: statistics, documents, summaries to export, and
// how far a budget reaches. It owns queries that write nothing and wait for no writer. It refuses
// to own the protocol of runs, claims and calls (internal/ledger) and any output format.
package report

import (
	"github.com/gistmill/gistmill/internal/ledger"
	"github.com/gistmill/gistmill/internal/ledger/sqldb"
)

// Reports reads one ledger. It is safe for concurrent use.
type Reports struct {
	ledger *ledger.Ledger
	read   sqldb.Reader
}

// New returns the reports of a ledger, which must stay open.
func New(l *ledger.Ledger) Reports { return Reports{ledger: l, read: l.Reader()} }

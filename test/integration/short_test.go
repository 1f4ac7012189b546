//go:build integration && !long

package integration

import (
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// Durations of outages: long enough for leases to lapse where a test needs that. `make
// integration-long` uses longer ones.
const (
	redisOutage    = 10 * time.Second
	postgresOutage = ledger.Lease + 5*time.Second
	frozenFor      = ledger.Lease
)

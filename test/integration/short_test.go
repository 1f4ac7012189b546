//go:build integration && !long

package integration

import (
	"time"

	"github.com/gistmill/gistmill/internal/ledger"
)

// How long what is away stays away: what is needed for leases to lapse where that matters. `make integration-long` takes more time.
const (
	redisOutage    = 10 * time.Second
	postgresOutage = ledger.Lease + 5*time.Second
	frozenFor      = ledger.Lease
)

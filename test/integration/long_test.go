//go:build integration && long

package integration

import "time"

// Durations of outages in `make integration-long`.
const (
	redisOutage    = 60 * time.Second
	postgresOutage = 90 * time.Second
	frozenFor      = 120 * time.Second
)

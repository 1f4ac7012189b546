//go:build integration && long

package integration

import "time"

// How long what is away stays away, with all the time that outages take.
const (
	redisOutage    = 60 * time.Second
	postgresOutage = 90 * time.Second
	frozenFor      = 120 * time.Second
)

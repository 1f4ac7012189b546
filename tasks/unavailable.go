package tasks

import (
	"errors"
	"net"
	"slices"
	"strings"
)

// IsUnavailable reports whether an error means that Redis cannot be reached or accepts no
// writes for now, so that a later try may succeed. Redis refuses writes while it is full, a
// replica (after a failover an old primary is one for a while), short of replicas, unable to
// write its disk, or loading its data, and while its cluster is not complete
// (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors; scripts put
// their own words before it).
func IsUnavailable(err error) bool {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Op != "remote error" // a TLS alert: Redis is there and refuses our certificate
	}
	var unfit *UnfitRedisError
	if errors.As(err, &unfit) {
		return unfit.Replica
	}
	if err == nil {
		return false
	}
	return slices.ContainsFunc(strings.Fields(err.Error()), func(word string) bool {
		switch strings.TrimPrefix(word, "-") { // before Redis 7 in scripts
		case "OOM", "READONLY", "NOREPLICAS", "MISCONF", "LOADING", "MASTERDOWN", "CLUSTERDOWN":
			return true
		}
		return false
	})
}

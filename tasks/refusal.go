package tasks

import (
	"errors"
	"slices"
	"strings"
)

// Refuses says whether an error is Redis' word that it takes no writes for now: it is full, a replica (in a failover an old primary is one
// for a while), lacks replicas, can't write its disk, is loading its data, or its cluster is not whole
// (https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors; scripts put their own words before it).
func Refuses(err error) bool {
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

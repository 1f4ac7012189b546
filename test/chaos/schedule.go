package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A fault is one failure at a time of a plan.
type fault struct {
	at   time.Duration
	kind kind
	// slot is the index of a worker. For a cut, the number of workers means the rest of the site.
	slot int
	len  time.Duration // duration, or the time from the start of an enqueue to its kill
	link link          // the link that a cut affects
	cut  cut
}

func (f fault) String() string {
	switch f.kind {
	case killWorker, stopWorker:
		return fmt.Sprintf("%s %d", f.kind, f.slot)
	case cutOff:
		return fmt.Sprintf("%s: %s to %s of %d for %s", f.kind, f.cut, f.link, f.slot, f.len.Round(time.Millisecond))
	case killRedis, restartPostgres:
		return fmt.Sprintf("%s for %s", f.kind, f.len.Round(time.Millisecond))
	default:
		return string(f.kind)
	}
}

type kind string

const (
	killWorker      kind = "SIGKILL of worker"
	killServer      kind = "SIGKILL of server"
	killEnqueue     kind = "SIGKILL of enqueue"
	stopWorker      kind = "SIGTERM of worker"
	killRedis       kind = "SIGKILL of Redis"
	flushRedis      kind = "FLUSHALL"
	restartPostgres kind = "immediate shutdown of PostgreSQL"
	cutOff          kind = "network"
)

// link is a connection of a process to a server.
type link string

const (
	toRedis    link = "redis"
	toPostgres link = "postgres"
	toModel    link = "model"
)

// cut is a way in which a network fails.
type cut string

const (
	reset       cut = "reset"               // connections are reset at their next byte
	slow        cut = "latency"             // 500 ms each way
	blackhole   cut = "blackhole"           // nothing passes; connections end with the cut
	lostReplies cut = "lostReplies answers" // requests arrive, replies do not
	refuse      cut = "refused connection"  // open connections end, new ones are refused
)

// faultPlan sets the load and the number of faults of each kind.
type faultPlan struct {
	duration  time.Duration
	documents int
	workers   int
	counts    map[kind]int
}

func longPlan() faultPlan {
	return faultPlan{duration: 14 * time.Minute, documents: 10_000, workers: 4, counts: map[kind]int{
		killWorker: 160, killServer: 20, killEnqueue: 20, stopWorker: 20, killRedis: 5, flushRedis: 1, restartPostgres: 3, cutOff: 40,
	}}
}

func shortPlan() faultPlan {
	return faultPlan{duration: 45 * time.Second, documents: 800, workers: 3, counts: map[kind]int{
		killWorker: 10, killServer: 2, killEnqueue: 2, stopWorker: 2, killRedis: 1, flushRedis: 1, restartPostgres: 1, cutOff: 4,
	}}
}

// schedule spreads the faults over the plan: for each kind it divides the time into equal parts
// and puts one fault into each. The result depends on the seed alone.
func (s faultPlan) schedule(seed uint64) []fault {
	var all []fault
	for i, k := range []kind{killWorker, killServer, killEnqueue, stopWorker, killRedis, flushRedis, restartPostgres, cutOff} {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		for n := range s.counts[k] {
			part := s.duration / time.Duration(s.counts[k])
			f := fault{kind: k, at: time.Duration(n)*part + between(random, 0, part)}
			switch k {
			case killWorker, stopWorker:
				f.slot = random.IntN(s.workers)
			case killEnqueue:
				f.len = between(random, 20*time.Millisecond, 2*time.Second)
			case killRedis, restartPostgres:
				f.len = between(random, 100*time.Millisecond, 4*time.Second)
			case flushRedis:
				f.at = s.duration/3 + between(random, 0, s.duration/3) // in the middle third
			case cutOff:
				f.slot = random.IntN(s.workers + 1)
				f.link = []link{toRedis, toPostgres, toPostgres, toModel}[random.IntN(4)]
				f.cut = []cut{reset, slow, blackhole, lostReplies, refuse}[random.IntN(5)]
				f.len = between(random, time.Second, 20*time.Second)
				if n%8 == 7 {
					f.len = between(random, 35*time.Second, 45*time.Second) // longer than every lease
				}
			}
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return all
}

// between draws from [from, to).
func between(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)))
}

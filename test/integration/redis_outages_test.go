//go:build integration

package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gistmill/gistmill/test/program"
	"github.com/gistmill/gistmill/test/program/programtest"
)

// Redis has a latency of half a second each way: everything continues, demand answers in time,
// and waiting programs keep waiting.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	const documents = 200
	server := newRedis(t)
	network := newLink(t, fmt.Sprintf("127.0.0.1:%d", server.port))
	s := newSite(t, server.address(), latency(t, "uniform:20ms-60ms"))
	s.env["GISTMILL_REDIS"] = network.redis()
	network.slow(500 * time.Millisecond)
	console := s.server()
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	if d := console.demand(); d.Demand != 10 {
		t.Errorf("the demand is %d", d.Demand)
	}
	workers := []*programtest.Process{s.worker("--concurrency", "4"), s.worker("--concurrency", "4")}
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	s.paidOnce(documents)
	if status, body := console.get("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz answers %d: %s", status, body)
	}
	idle(t, append(workers, console.Process)...)
	for _, w := range workers {
		w.Stop()
	}
	console.Stop()
}

// Redis answers, but accepts no writes for a while.
func TestRedisRefuses(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]struct{ begin, end func(*redisServer) }{
		"full": {
			func(s *redisServer) { s.do("CONFIG", "SET", "maxmemory", "1") },
			func(s *redisServer) { s.do("CONFIG", "SET", "maxmemory", "0") },
		},
		"read-only": { // a replica of an unreachable primary, as in the middle of a failover
			func(s *redisServer) { s.do("REPLICAOF", "127.0.0.1", fmt.Sprint(freePort(s.t))) },
			func(s *redisServer) { s.do("REPLICAOF", "NO", "ONE") },
		},
		"without replicas": {
			func(s *redisServer) { s.do("CONFIG", "SET", "min-replicas-to-write", "1") },
			func(s *redisServer) { s.do("CONFIG", "SET", "min-replicas-to-write", "0") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const documents = 800
			server := newRedis(t)
			s := newSite(t, server.address(), latency(t, "uniform:20ms-60ms"))
			console := s.server()
			s.write("notes.jsonl", lines(0, documents))
			run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
			workers := []*programtest.Process{s.worker("--concurrency", "4"), s.worker("--concurrency", "4")}
			workers[0].Until("work has begun", func() bool { return s.done() >= 50 })
			refusal.begin(server)
			pass(redisOutage - quiet)
			scripts := server.ran("evalsha")
			idle(t, append(workers, console.Process)...)
			if n := server.ran("evalsha") - scripts; n > 20*int64(quiet/time.Second) {
				t.Errorf("Redis was polled %d times in %s", n, quiet)
			} else {
				t.Logf("Redis was polled %d times in %s", n, quiet)
			}
			if status, body := console.get("/readyz"); status != http.StatusServiceUnavailable {
				t.Errorf("/readyz answers %d: %s", status, body)
			}
			if status, _ := console.get("/healthz"); status != http.StatusOK {
				t.Errorf("/healthz answers %d", status)
			}
			if d := console.demand(); d.Uncapped == 0 {
				t.Error("the demand is 0 while work is pending")
			}
			if s.done() == documents {
				t.Error("all was done before the outage")
			}
			late := s.start("worker", "--concurrency", "4") // like a pod that starts in the middle of it
			pass(2 * time.Second)
			late.Running()
			refusal.end(server)
			came := time.Now()
			late.Until("it has started", func() bool { return strings.Contains(late.Stderr.String(), "worker started") })
			console.Until("ready again", func() bool { status, _ := console.get("/readyz"); return status == http.StatusOK })
			s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
			t.Logf("all done and the queue empty %s after Redis took writes again", time.Since(came).Round(time.Second))
			s.paidOnce(documents)
			for _, w := range append(workers, late) {
				w.Running()
				w.Stop()
			}
			console.Stop()
		})
	}
}

// The primary dies, and Sentinel promotes its replica.
func TestRedisFailover(t *testing.T) {
	t.Parallel()
	const documents = 1200
	primary := newRedis(t)
	replica := newRedisWith(t, redis.Options{}, "--replicaof", "127.0.0.1", fmt.Sprint(primary.port))
	sentinel := newSentinel(t, primary)
	programtest.Await(t, "the replica has everything", patience, func() bool {
		return strings.Contains(replica.client.Info(background(), "replication").Val(), "master_link_status:up")
	}, nil)
	programtest.Await(t, "sentinel knows the replica", patience, func() bool {
		return strings.Contains(sentinel.Info(background(), "sentinel").Val(), "slaves=1")
	}, nil)
	s := newSite(t, replica.address(), latency(t, "uniform:20ms-60ms"))
	s.env["GISTMILL_REDIS"] = fmt.Sprintf("redis-sentinel://%s/0?master=mill", sentinel.Options().Addr)
	console := s.server()
	s.write("notes.jsonl", lines(0, documents))
	run := s.enqueue("notes.jsonl", "--partition-documents", "20")[0].Run
	workers := []*programtest.Process{s.worker("--concurrency", "4"), s.worker("--concurrency", "4")}
	workers[0].Until("work has begun", func() bool { return s.done() >= 50 })
	primary.end()
	died := time.Now()
	if s.done() == documents {
		t.Fatal("the primary died too late")
	}
	console.Until("sentinel has made the replica the primary", func() bool {
		return strings.Contains(replica.client.Info(background(), "replication").Val(), "role:master")
	})
	t.Logf("a new primary after %s", time.Since(died).Round(100*time.Millisecond))
	s.finish(run, patience, programtest.Totals{Total: documents, Done: documents})
	t.Logf("all done and the queue empty after %s", time.Since(died).Round(time.Second))
	s.paidOnce(documents)
	console.Until("ready again", func() bool { status, _ := console.get("/readyz"); return status == http.StatusOK })
	for _, w := range workers {
		w.Running()
		w.Stop()
	}
	console.Stop()
}

// newSentinel starts a sentinel that watches a primary under the name mill, and returns a
// client of it.
func newSentinel(t *testing.T, primary *redisServer) *redis.Client {
	t.Helper()
	dir, port := t.TempDir(), freePort(t)
	config := filepath.Join(dir, "sentinel.conf") // sentinel writes to its configuration
	text := fmt.Sprintf(`bind 127.0.0.1
port %d
sentinel monitor mill 127.0.0.1 %d 1
sentinel down-after-milliseconds mill 1000
sentinel failover-timeout mill 10000
`, port, primary.port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("redis-server", config, "--sentinel")
	command.Dir = dir
	started, err := program.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { started.Kill() })
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port)})
	t.Cleanup(func() { client.Close() })
	programtest.Await(t, "the sentinel answers", patience, func() bool { return client.Ping(background()).Err() == nil }, nil)
	return client
}
